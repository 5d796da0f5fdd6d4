package openai

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
)

// AddTool appends t to tools. The same tool may come twice; two different tools of one name are an error, because a
// call could not be told apart. param names the field of the name.
func AddTool(tools []agent.Tool, t agent.Tool, param string) ([]agent.Tool, error) {
	if t.Name == "" {
		return nil, Missing(param)
	}
	for i := range tools {
		if tools[i].Name != t.Name {
			continue
		}
		if tools[i].Description == t.Description && tools[i].Strict == t.Strict && bytes.Equal(tools[i].Parameters, t.Parameters) {
			return tools, nil
		}
		return nil, agent.ParamError(agent.InvalidValue, param, "Two different tools are named '%s'. Give each tool its own name.", Clip(t.Name))
	}
	return append(tools, t), nil
}

// CheckToolChoice checks that choice names tools that are there, and that there are any when one must be called. param
// names the choice's field.
func CheckToolChoice(choice agent.ToolChoice, tools []agent.Tool, param string) error {
	for _, name := range choice.Names {
		if !slices.ContainsFunc(tools, func(t agent.Tool) bool { return t.Name == name }) {
			return agent.ParamError(agent.InvalidValue, param, "'%s' asks for the tool '%s', which is not among 'tools'.", param, Clip(name))
		}
	}
	if choice.Mode == agent.ToolsRequired && len(tools) == 0 {
		return agent.ParamError(agent.InvalidValue, param, "'%s' asks for a tool call, but there are no 'tools'.", param)
	}
	return nil
}

// ToolModes are the strings that a tool choice may be.
var ToolModes = map[string]agent.ToolMode{"auto": agent.ToolsAuto, "none": agent.ToolsNone, "required": agent.ToolsRequired}

// A Grammar is what a custom tool's input must follow. Its zero value is free text.
type Grammar struct {
	Syntax     string `json:"syntax"` // "lark" or "regex"
	Definition string `json:"definition"`
}

// CustomTool is a custom tool, whose input is free text, as the model gets it: a function with the one argument
// input. The grammar is told, not enforced.
func CustomTool(name, description string, g Grammar) agent.Tool {
	about := "The tool's whole input, as plain text and not as JSON."
	if g.Definition != "" {
		about += " It must follow this " + g.Syntax + " grammar:\n" + g.Definition
	}
	b := []byte(`{"type":"object","properties":{"input":{"type":"string","description":`)
	b = AppendString(b, about)
	b = append(b, `}},"required":["input"],"additionalProperties":false}`...)
	return agent.Tool{Name: name, Description: description, Parameters: b}
}

// CustomArguments is the reverse of CustomInput: the arguments of a call that the client tells of.
func CustomArguments(input string) json.RawMessage {
	b := AppendString([]byte(`{"input":`), input)
	return append(b, '}')
}

// Arguments is the arguments of a function call that the client tells of. They should be a JSON object, but a model
// may have written anything and clients echo it: no arguments become {}, and what is no JSON is carried as one JSON
// string, so that the model sees what it wrote and nothing downstream meets invalid JSON.
func Arguments(text string) json.RawMessage {
	raw := jsontext.Value(text)
	switch {
	case len(bytes.TrimSpace(raw)) == 0:
		return json.RawMessage("{}")
	case raw.IsValid(Liberal):
		return json.RawMessage(raw)
	}
	return AppendString(nil, text)
}
