// Package openapi holds a running server against its own document, with Schemathesis: generated requests to every route, and
// of each answer its status, its type and its form. Package archtest compares the document with the routes in the sources.
package openapi

import (
	"regexp"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// tested is how many routes the run has reached, in Schemathesis's summary.
var tested = regexp.MustCompile(`Tested: (\d+)`)

// TestTheDocumentSaysWhatTheServerDoes takes half a minute, whatever the machine.
func TestTheDocumentSaysWhatTheServerDoes(t *testing.T) {
	out := harness.RunSchemathesis(t, "try_document.py", "BASE_URL="+harness.StartDemo(t).URL)
	if found := tested.FindStringSubmatch(out); found == nil || len(found[1]) < 2 {
		t.Errorf("hardly anything was tested:\n%s", out)
	}
}
