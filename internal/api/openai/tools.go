package openai

import (
	"bytes"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
)

// A ToolList collects the tools of a request. Its zero value is empty. It finds tools by name in a map,
// because a request may offer thousands.
//
// It belongs to one request and one goroutine.
type ToolList struct {
	// Tools are in the order of the request.
	Tools []agent.Tool
	index map[string]int // by name
}

// Add appends t. The same tool may come twice; two different tools of one name are an error, because their
// calls could not be told apart. param names the field of the name.
func (l *ToolList) Add(t agent.Tool, param string) error {
	if t.Name == "" {
		return Missing(param)
	}
	if i, ok := l.index[t.Name]; ok {
		known := &l.Tools[i]
		if known.Description == t.Description && known.Strict == t.Strict && bytes.Equal(known.Parameters, t.Parameters) {
			return nil
		}
		return agent.ParamError(agent.InvalidValue, param, "Two different tools are named '%s'. Give each tool its own name.", Clip(t.Name))
	}
	if l.index == nil {
		l.index = map[string]int{}
	}
	l.index[t.Name] = len(l.Tools)
	l.Tools = append(l.Tools, t)
	return nil
}

// CheckToolChoice checks that choice names tools that exist, and that there are any when one must be called.
// param names the choice's field. The error is *agent.Error with InvalidValue.
func CheckToolChoice(choice agent.ToolChoice, tools []agent.Tool, param string) error {
	if len(choice.Names) > 0 {
		offered := make(map[string]bool, len(tools))
		for i := range tools {
			offered[tools[i].Name] = true
		}
		for _, name := range choice.Names {
			if !offered[name] {
				return agent.ParamError(agent.InvalidValue, param, "'%s' asks for the tool '%s', which is not among 'tools'.", param, Clip(name))
			}
		}
	}
	if choice.Mode == agent.ToolsRequired && len(tools) == 0 {
		return agent.ParamError(agent.InvalidValue, param, "'%s' asks for a tool call, but there are no 'tools'.", param)
	}
	return nil
}

// ToolModes are the strings that a tool choice may be.
var ToolModes = map[string]agent.ToolMode{"auto": agent.ToolsAuto, "none": agent.ToolsNone, "required": agent.ToolsRequired}

// A Grammar is the grammar of a custom tool's input. Its zero value is free text.
type Grammar struct {
	Syntax     string `json:"syntax"` // "lark" or "regex"
	Definition string `json:"definition"`
}

// CustomTool is a custom tool, whose input is free text, in the form that the model gets: a function with
// the one argument "input". The model is told the grammar, but nothing enforces it:
//
//	{"type": "object", "properties": {"input": {"type": "string", "description": "…"}}, "required": ["input"], …}
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

// CustomArguments is the reverse of CustomInput: the arguments of a call that the client repeats.
func CustomArguments(input string) json.RawMessage {
	b := AppendString([]byte(`{"input":`), input)
	return append(b, '}')
}

// Arguments is the arguments of a function call that the client repeats in its transcript. They should be a
// JSON object, but a model may have written anything, and clients repeat it. No arguments become {}. What is
// not JSON is kept as one JSON string, so that the model sees what it wrote and no other code meets invalid
// JSON.
//
//	""                {}
//	{"path": "a"}     as it is
//	{"path": "a       "{\"path\": \"a"
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
