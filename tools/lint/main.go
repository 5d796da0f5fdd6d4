// Command lint runs the checks that neither go vet nor staticcheck has. An analyzer that is not here was left out for a
// reason:
//
//   - length limits (funlen, gocyclo): how much one type owns says more than how long a function is;
//   - wrapcheck: agent.Error carries the cause, and a package says in its comments which errors it returns;
//   - bodyclose: the body of a stream outlives the function that opened it, which it can't see;
//   - exhaustive: a decoder meets values from outside, so its switches have a default.
package main

import (
	"github.com/polyfloyd/go-errorlint/errorlint"
	"github.com/ryanrolds/sqlclosecheck/pkg/analyzer"
	"github.com/sonatard/noctx"
	"golang.org/x/tools/go/analysis/multichecker"
)

func main() {
	multichecker.Main(
		errorlint.NewAnalyzer(), // errors are compared with errors.Is and errors.As
		noctx.Analyzer,          // requests and queries take a context
		analyzer.NewAnalyzer(),  // rows and statements are closed
	)
}
