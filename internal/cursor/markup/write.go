package markup

import (
	"bytes"
	"encoding/json"
)

// Calls on the way up: a transcript shows earlier calls in the form in which the model is told
// to write them.

// The outer markers, around calls that WriteCall has written.
const (
	BlockBegin = "<|tool_calls_begin|>"
	BlockEnd   = "<|tool_calls_end|>"
)

// A Writer takes the pieces of a prompt: what is ours, and what is a client's, which it keeps
// from being taken for what is ours. Own writes markers; Text and JSON must not let one
// through. sections.Writer is one.
type Writer interface {
	Own(texts ...string)
	Text(text string)
	JSON(value []byte)
}

// WriteCall writes a call as the model is told to write it: what a CallFilter reads back.
// Arguments that are not an object of JSON, which only a client or a confused model can send,
// are written as they are. The caller writes BlockBegin before the calls of a message and
// BlockEnd after them. The name must be one line; the caller sees to that.
func WriteCall(w Writer, name string, arguments json.RawMessage) {
	w.Own("<|tool_call_begin|>\n")
	w.Text(name + "\n")
	pairs, ok := pairsOf(arguments)
	if !ok {
		w.Text(string(arguments) + "\n")
	}
	for _, p := range pairs {
		w.Own("<|tool_sep|>")
		w.Text(p.name + "\n")
		var text string
		if json.Unmarshal(p.value, &text) == nil && p.value[0] == '"' {
			w.Text(text)
		} else {
			w.JSON(p.value)
		}
		w.Own("\n")
	}
	w.Own("<|tool_call_end|>")
}

// A pair is one member of a JSON object.
type pair struct {
	name  string // decoded
	value json.RawMessage
}

// pairsOf are the members of an object, in their order. A map would lose their order, and with
// it the prompt's bytes would change from request to request.
func pairsOf(object json.RawMessage) ([]pair, bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var pairs []pair
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		p := pair{name: name.(string)} // the decoder takes nothing else for a name
		if d.Decode(&p.value) != nil {
			return nil, false
		}
		pairs = append(pairs, p)
	}
	return pairs, true
}
