package messages

import (
	"cmp"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// What programs send in the form of OpenAI's APIs, or of MCP, that were moved to this API in part. Anthropic refuses all of it. A tool
// in another form is the same tool, so it is offered. A parameter that would change the answer is refused with the name that it has
// here: left out in silence, it would give another answer than was asked for.

// openAIFields are those parameters. Their values are not decoded further than to tell whether they ask for something.
type openAIFields struct {
	Stop           openai.StringOr[[]jsontext.Value] `json:"stop"`
	ResponseFormat jsontext.Value                    `json:"response_format"`
	Instructions   openai.StringOr[[]jsontext.Value] `json:"instructions"`
	Functions      []openai.Sent                     `json:"functions"`
	ParallelCalls  *bool                             `json:"parallel_tool_calls"`
}

// refuseOpenAIFields refuses those that ask for something. A parameter whose form here was sent as well does no harm.
func refuseOpenAIFields(w *wireRequest) error {
	f := &w.openAIFields
	for _, field := range []struct {
		param string
		asked bool
		here  string // the parameter of this API
		both  bool   // which was sent, too
	}{
		{"stop", f.Stop.String != "" || len(f.Stop.Other) > 0, "stop_sequences", w.StopSequences != nil},
		{"response_format", asksForFormat(f.ResponseFormat), "output_config.format", w.hasFormat()},
		{"instructions", f.Instructions.String != "" || len(f.Instructions.Other) > 0, "system", w.System != nil},
		{"functions", len(f.Functions) > 0, "tools", len(w.Tools) > 0},
		{"parallel_tool_calls", f.ParallelCalls != nil && !*f.ParallelCalls && len(w.Tools) > 0, "tool_choice.disable_parallel_tool_use", w.ToolChoice != nil},
	} {
		if field.asked && !field.both {
			return agent.ParamError(agent.UnsupportedParameter, field.param,
				"The Messages API has no '%s': there it is '%s'. Send that instead, or use /v1/chat/completions.", field.param, field.here)
		}
	}
	for i := range w.Messages {
		if len(w.Messages[i].ToolCalls) > 0 {
			param := element("messages", i) + ".tool_calls"
			return agent.ParamError(agent.UnsupportedParameter, param,
				"The Messages API has no '%s': there a call is a block of the type 'tool_use' in the content, and its result one of the type 'tool_result'.", param)
		}
	}
	return nil
}

// asksForFormat reports whether a response_format asks for anything but text.
func asksForFormat(sent jsontext.Value) bool {
	var format struct {
		Type string `json:"type"`
	}
	return sent.Kind() == '{' && openai.DecodeOwn(sent, &format) == nil && format.Type != "" && format.Type != "text"
}

// hasFormat reports whether the request has a format in a place of this API.
func (w *wireRequest) hasFormat() bool {
	return w.OutputFormat != nil || w.OutputConfig != nil && w.OutputConfig.Format != nil
}

// otherForms are the members of a tool in a form of OpenAI's, or of MCP.
//
//	{"type": "function", "function": {"name": "read", "description": "…", "parameters": {…}}}   chat completions
//	{"type": "function", "name": "read", "description": "…", "parameters": {…}}                 Responses
//	{"name": "read", "description": "…", "inputSchema": {…}}                                    MCP
type otherForms struct {
	Function *struct {
		Name        string        `json:"name"`
		Description string        `json:"description"`
		Parameters  openai.Object `json:"parameters"`
		Strict      bool          `json:"strict"`
	} `json:"function"`
	Parameters     openai.Object `json:"parameters"`
	MCPInputSchema openai.Object `json:"inputSchema"`
}

// unify brings a tool in another form into that of this API. One that has this form stays as it is.
func (t *wireTool) unify() {
	if t.Type == "function" {
		t.Type = "custom"
	}
	if f := t.Function; f != nil && t.InputSchema == nil && (t.Type == "" || t.Type == "custom") {
		t.Name, t.Description, t.InputSchema, t.Strict = cmp.Or(t.Name, f.Name), cmp.Or(t.Description, f.Description), f.Parameters, t.Strict || f.Strict
	}
	for _, schema := range []openai.Object{t.Parameters, t.MCPInputSchema} {
		if t.InputSchema == nil {
			t.InputSchema = schema
		}
	}
	t.otherForms = otherForms{} // the form is decided
}
