package markup

import (
	"bytes"
	"encoding/json"
	"strings"

	"composer-api/internal/agent"
)

// A call is a body that was understood.
type call struct {
	name string      // as the model wrote it, also of a call that is refused
	tool *agent.Tool // what it means; only in a call that can be made
	// arguments are a JSON object.
	arguments json.RawMessage
}

// parseCall reads a call's body, in one of the forms that models write:
//
//	NAME <|tool_sep|>ARGUMENT⏎VALUE <|tool_sep|>ARGUMENT⏎VALUE …
//	NAME(arg: value, arg=value)   NAME[…]   NAME({"arg": value})
//	{"name": NAME, "arguments": {…}}   and its relatives
//
// ok is false when it is in none of them. The refusal says why the call can't be made, if it can't.
//
// The first character decides between an object and the rest; among the rest, a separator
// before any bracket decides.
func parseCall(body []byte, tools *toolbox) (c call, refusal *Refusal, ok bool) {
	switch trimmed := bytes.TrimSpace(body); {
	case len(trimmed) == 0:
		return call{}, nil, false
	case trimmed[0] == '{':
		return parseObject(trimmed, tools)
	}
	// Only the first separator is of interest: it says where the name ends.
	for k, m := range markersOf(body) {
		if m.marker != callSep {
			continue
		}
		if head := body[:m.from]; !bytes.ContainsAny(head, "([") { // else it stands in a value
			return parseSections(string(head), body, k, tools)
		}
		break
	}
	return parseExpression(string(body), tools)
}

// ParseCall reads a call of one of tools in one of the forms that models write, without the
// markers around it. It reports false for everything else. Package control uses it for calls
// that a model tells of instead of making them.
func ParseCall(body []byte, tools []agent.Tool) (name string, arguments json.RawMessage, ok bool) {
	c, refusal, ok := parseCall(body, newToolbox(tools))
	if !ok || refusal != nil {
		return "", nil, false
	}
	return c.tool.Name, c.arguments, true
}

// Why a call can't be made, for the model.
const (
	whyUnreadable = "The call was not made, because it can't be read. Write it exactly as described."
	whyUncertain  = "The call was not made, because markers of tool calls in its text leave open where it ends. End every call with its own end marker, and write such markers within a value in pairs only."
)

// refuse makes a refusal. The model reads the name again in a heading, so it is one short line. Without arguments they are {}.
func refuse(name string, arguments json.RawMessage, why string) *Refusal {
	name = strings.Join(strings.Fields(name), " ")
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	if arguments == nil {
		arguments = json.RawMessage("{}")
	}
	return &Refusal{Name: name, Arguments: arguments, Why: why}
}

// markersOf finds the markers of a text that is whole. It is a scan of its own, because a body
// is looked at again after it was cut out.
func markersOf(text []byte) []mark {
	var marks []mark
	at := 0
	s := scanner{shapes: blockShapes}
	s.write(text, func(t token) {
		from := at
		at += len(t.space) + len(t.raw)
		if t.marker != noMarker {
			marks = append(marks, mark{t.marker, from, from + len(t.space), at})
		}
	})
	return marks
}

// pairs gives for each begin that has an end the index of its end, and 0 for all other markers. The first marker is never an
// end of another, so 0 can't be meant.
func pairs(marks []mark) []int {
	ends := make([]int, len(marks))
	var open [numMarkers][]int // indexes of begins, by the marker that ends them
	for k, m := range marks {
		switch m.marker {
		case callBegin:
			open[callEnd] = append(open[callEnd], k)
		case callsBegin:
			open[callsEnd] = append(open[callsEnd], k)
		case callEnd, callsEnd:
			if of := open[m.marker]; len(of) > 0 {
				ends[of[len(of)-1]] = k
				open[m.marker] = of[:len(of)-1]
			}
		}
	}
	return ends
}

// parseSections reads the form with separators, of which the marker at index first is the first: behind each stands the
// name of an argument, a line break and its value. A separator that stands in a pair of other markers, or with no name of
// an argument behind it, belongs to the value before it.
//
//	write_file
//	<|tool_sep|>path
//	notes.txt
//	<|tool_sep|>content
//	two
//	lines
//
// The refusal, if the tool is unknown, gets the arguments all the same: the model is shown what
// it has written.
func parseSections(name string, body []byte, first int, tools *toolbox) (call, *Refusal, bool) {
	name = strings.TrimSpace(name)
	tool, refusal := tools.named(name, nil)
	args := tools.arguments(tool)
	marks := markersOf(body)
	ends := pairs(marks)
	start := marks[first].end // of the section that is being read
	take := func(to int) bool {
		argument, value, _ := strings.Cut(string(body[start:to]), "\n")
		argument = strings.TrimSpace(argument)
		args.set(argument, trimLastBreak(value))
		return args.isName(argument)
	}
	ok := true
	for k := first + 1; k < len(marks); k++ {
		switch m := marks[k]; {
		// A pair in the value is passed over as a whole, with what is in it.
		case ends[k] > 0:
			k = ends[k]
		case m.marker == callSep && args.isName(firstLine(body[m.end:])):
			// take first: the sections are read all the same, for the refusal.
			ok = take(m.at) && ok
			start = m.end
		}
	}
	switch ok = take(len(body)) && ok; {
	case refusal != nil:
		refusal.Arguments = args.object()
	case !ok:
		refusal = refuse(name, args.object(), whyUnreadable)
	}
	return call{name, tool, args.object()}, refusal, true
}

// firstLine is the line that a text begins with, if it is short, without the white space around it.
func firstLine(p []byte) string {
	line, _, _ := bytes.Cut(p[:min(len(p), maxName)], []byte("\n"))
	return strings.TrimSpace(string(line))
}

// trimLastBreak removes the line break at the end that belongs to the form and not to the value.
func trimLastBreak(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// Where the name and the arguments are in the object form, in order of preference.
var (
	nameKeys     = []string{"name", "tool", "tool_name", "toolName"}
	argumentKeys = []string{"arguments", "args", "input", "parameters", "params"}
)

// parseObject reads the form of a JSON object:
//
//	{"name": "read", "arguments": {"path": "go.mod"}}
//	{"tool": "read", "args": "{\"path\": \"go.mod\"}"}
//	{"function": {"name": "read", "arguments": {…}}}
//
// Trailing brackets are cut off: some models close what they have not opened.
func parseObject(body []byte, tools *toolbox) (call, *Refusal, bool) {
	unreadable := func(name string) (call, *Refusal, bool) {
		return call{name: name}, refuse(name, quote(string(body)), whyUnreadable), true
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimRight(body, ")]"+blanks), &object) != nil {
		// Without a name nothing can be told but that it was a call.
		return unreadable("")
	}
	if inner, ok := object["function"]; ok {
		var function map[string]json.RawMessage
		if json.Unmarshal(inner, &function) == nil && function != nil {
			object = function
		}
	}
	var name string
	if json.Unmarshal(first(object, nameKeys), &name) != nil {
		return unreadable("")
	}
	arguments, ok := objectOf(first(object, argumentKeys))
	if !ok {
		return unreadable(name)
	}
	tool, refusal := tools.named(name, arguments)
	return call{name, tool, arguments}, refusal, true
}

// first is the value of the first of the keys that the object has; nil when it has none.
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
