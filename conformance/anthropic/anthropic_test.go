// Package anthropic drives the gateway with Anthropic's own SDK for Node. The cases are txtar files in testdata.
package anthropic

import (
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

func TestMessages(t *testing.T) {
	c := harness.Case{Prelude: "import { client, Anthropic, model, ask, show, showError, pixel } from './anthropic/prelude.mjs';\n"}
	c.Run(t, "testdata/*.txtar")
}
