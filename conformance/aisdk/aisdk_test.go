// Package aisdk drives the gateway with the AI SDK. A case is a txtar file in testdata; those in both must give the
// same through either surface.
package aisdk

import (
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

const prelude = "import { base, generateText, isStepCount, model, Output, show, streamText, tool, tools, z } from './aisdk/prelude.mjs';\n"

// TestChat uses @ai-sdk/openai-compatible.
func TestChat(t *testing.T) {
	c := harness.Case{Prelude: prelude, Env: []string{"SURFACE=chat"}}
	c.Run(t, "testdata/both/*.txtar")
}

// TestResponses uses @ai-sdk/openai.
func TestResponses(t *testing.T) {
	c := harness.Case{Prelude: prelude, Env: []string{"SURFACE=responses"}}
	c.Run(t, "testdata/both/*.txtar")
}
