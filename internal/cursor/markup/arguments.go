package markup

import (
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// arguments collects the arguments of one call that were written as text, and gives each the
// JSON type that the tool's schema allows. It belongs to one call and one goroutine.
type arguments struct {
	// schema is the tool's, never nil; an empty one allows any type.
	schema *schema
	names  []string // in the order in which the model wrote them first
	values map[string]json.RawMessage
}

// isName reports whether name can be an argument: one that the schema knows, or a plain word.
func (a *arguments) isName(name string) bool {
	_, known := a.schema.Properties[name]
	return known || isWord(name)
}

// isKnown is stricter than isName: if the schema has any properties, only their names count. It decides where a value ends that is
// written without quotes, and there a plain word may well be part of the value.
func (a *arguments) isKnown(name string) bool {
	_, known := a.schema.Properties[name]
	return known || len(a.schema.Properties) == 0 && a.isName(name)
}

// isWord reports whether s is written like the name of a tool or of an argument.
func isWord(s string) bool { return s != "" && strings.IndexFunc(s, notInWord) < 0 }

// notInWord reports whether r stands in no name.
func notInWord(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.' || r == '$')
}

// set gives name a value that was written as text. If it comes again, the last value counts.
func (a *arguments) set(name, value string) {
	a.setJSON(name, decode(value, a.schema.allowsString(name)))
}

// setJSON gives name a value that is JSON. The argument keeps the place where it was first written.
func (a *arguments) setJSON(name string, value json.RawMessage) {
	if _, ok := a.values[name]; !ok {
		a.names = append(a.names, name)
	}
	a.values[name] = value
}

// decode makes JSON of a value that was written as text: true, false, null, a number, an object or an array is
// decoded, unless the schema allows a string; everything else is a string, unchanged.
//
//	text    the schema has    JSON
//	5       integer           5
//	5       string            "5"
//	01234   anything          "01234", because it is no JSON
//	[1, 2]  array             [1, 2]
//	"a"     string            "\"a\"": the quotes belong to it
func decode(value string, isString bool) json.RawMessage {
	if trimmed := strings.TrimSpace(value); !isString && trimmed != "" && trimmed[0] != '"' && json.Valid([]byte(trimmed)) {
		return json.RawMessage(trimmed)
	}
	return quote(value)
}

// quote makes a JSON string of s.
func quote(s string) json.RawMessage {
	// The only error is about invalid UTF-8, which has been replaced by then.
	quoted, _ := jsontext.AppendQuote(nil, s)
	return quoted
}

// object is the arguments as a JSON object, in the order in which they were first written.
func (a *arguments) object() json.RawMessage {
	object := []byte{'{'}
	for i, name := range a.names {
		if i > 0 {
			object = append(object, ',')
		}
		object = append(append(object, quote(name)...), ':')
		object = append(object, a.values[name]...)
	}
	return append(object, '}')
}
