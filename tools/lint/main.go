// Command lint runs the checks that neither go vet nor staticcheck has. An analyzer that is not here was left out for a
// reason:
//
//   - length limits (funlen, gocyclo): how much one type owns says more than how long a function is;
//   - wrapcheck: agent.Error carries the cause, and a package says in its comments which errors it returns;
//   - exhaustive: a decoder meets values from outside, so its switches have a default.
package main

import (
	"github.com/polyfloyd/go-errorlint/errorlint"
	"github.com/ryanrolds/sqlclosecheck/pkg/analyzer"
	"github.com/sonatard/noctx"
	"github.com/timakin/bodyclose/passes/bodyclose"
	"golang.org/x/tools/go/analysis/multichecker"
)

func main() {
	multichecker.Main(
		errorlint.NewAnalyzer(), // errors are compared with errors.Is and errors.As
		bodyclose.Analyzer,      // an HTTP answer's body is closed
		noctx.Analyzer,          // requests and queries take a context
		analyzer.NewAnalyzer(),  // rows and statements are closed
	)
}
