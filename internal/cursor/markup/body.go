package markup

import (
	"bytes"
	"encoding/json"
	"strings"

	"composer-api/internal/agent"
)

// parseCall reads a call's body, in one of the forms that models write:
//
//	NAME <|tool_sep|>ARGUMENT⏎VALUE <|tool_sep|>ARGUMENT⏎VALUE …
//	NAME(arg: value, arg=value)   NAME[…]   NAME({"arg": value})
//	{"name": NAME, "arguments": {…}}   and its relatives
//
// ok is false when it is in none of them or names a tool that is not among tools.
func parseCall(body []byte, tools []agent.Tool) (name string, arguments json.RawMessage, ok bool) {
	call, ok := parseForm(body, tools)
	if !ok {
		return "", nil, false
	}
	return call.tool.Name, call.arguments, true
}

// A call is a body that was understood.
type call struct {
	tool      *agent.Tool
	arguments json.RawMessage
}

func parseForm(body []byte, tools []agent.Tool) (call, bool) {
	head, sections := cutSections(body)
	head = bytes.TrimSpace(head)
	switch {
	case len(sections) > 0:
		return parseSections(string(head), sections, tools)
	case bytes.HasPrefix(head, []byte("{")):
		return parseObject(head, tools)
	default:
		return parseExpression(string(head), tools)
	}
}

func toolNamed(name string, tools []agent.Tool) (*agent.Tool, bool) {
	for i := range tools {
		if tools[i].Name == name {
			return &tools[i], true
		}
	}
	return nil, false
}

// cutSections cuts a body at its <|tool_sep|> markers.
func cutSections(body []byte) (head []byte, sections [][]byte) {
	parts := [][]byte{nil}
	part := func() *[]byte { return &parts[len(parts)-1] }
	take := func(p []byte) { *part() = append(*part(), p...) }
	s := scanner{shapes: sepShapes}
	s.write(body, func(t token) {
		take(t.space) // whether it belongs to a value, its reader decides
		if t.marker == callSep {
			parts = append(parts, nil)
			return
		}
		take(t.raw)
	})
	take(s.flush())
	return parts[0], parts[1:]
}

// parseSections reads the form with separators: each section is the name of an argument, a line break and its value.
func parseSections(name string, sections [][]byte, tools []agent.Tool) (call, bool) {
	tool, ok := toolNamed(name, tools)
	if !ok {
		return call{}, false
	}
	args := newArguments(tool)
	for _, s := range sections {
		argument, value, _ := strings.Cut(string(s), "\n")
		argument = strings.TrimSpace(argument)
		if !args.isName(argument) {
			return call{}, false
		}
		args.set(argument, trimLastBreak(value))
	}
	return call{tool, args.object()}, true
}

// trimLastBreak takes the line break that belongs to the form, not to the value, off its end.
func trimLastBreak(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// Where the name and the arguments stand in the object form, in order of preference.
var (
	nameKeys     = []string{"name", "tool", "tool_name", "toolName"}
	argumentKeys = []string{"arguments", "args", "input", "parameters", "params"}
)

// parseObject reads the form of a JSON object. {"function": {…}} holds both in one.
func parseObject(body []byte, tools []agent.Tool) (call, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return call{}, false
	}
	if inner, ok := object["function"]; ok {
		var function map[string]json.RawMessage
		if json.Unmarshal(inner, &function) == nil && function != nil {
			object = function
		}
	}
	var name string
	if json.Unmarshal(first(object, nameKeys), &name) != nil {
		return call{}, false
	}
	tool, ok := toolNamed(name, tools)
	if !ok {
		return call{}, false
	}
	arguments, ok := objectOf(first(object, argumentKeys))
	return call{tool, arguments}, ok
}

func first(object map[string]json.RawMessage, keys []string) json.RawMessage {
	for _, k := range keys {
		if v, ok := object[k]; ok {
			return v
		}
	}
	return nil
}

// objectOf returns arguments that came as an object or as a string that holds one. Nothing, null and "" mean none.
func objectOf(raw json.RawMessage) (json.RawMessage, bool) {
	var text string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(strings.TrimSpace(text))
	}
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return json.RawMessage("{}"), true
	case raw[0] == '{' && json.Valid(raw):
		return raw, true
	}
	return nil, false
}
