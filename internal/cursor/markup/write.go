package markup

import (
	"bytes"
	"encoding/json"
)

// Block puts calls that AppendCall has written between the outer markers.
func Block(calls []byte) []byte {
	return append(append([]byte("<|tool_calls_begin|>"), calls...), "<|tool_calls_end|>"...)
}

// AppendCall writes a call as the model is told to write it. A CallFilter reads it back, unless a value contains
// what looks like a marker. Arguments that are not a JSON object, which only a client can send, are written as
// they are.
func AppendCall(dst []byte, name string, arguments json.RawMessage) []byte {
	dst = append(append(dst, "<|tool_call_begin|>\n"...), name...)
	dst = append(dst, '\n')
	pairs, ok := pairsOf(arguments)
	if !ok {
		dst = append(append(dst, arguments...), '\n')
	}
	for _, p := range pairs {
		dst = append(append(append(dst, "<|tool_sep|>"...), p.name...), '\n')
		var text string
		if json.Unmarshal(p.value, &text) == nil && p.value[0] == '"' {
			dst = append(dst, text...)
		} else {
			dst = append(dst, p.value...)
		}
		dst = append(dst, '\n')
	}
	return append(dst, "<|tool_call_end|>"...)
}

// A pair is one member of a JSON object.
type pair struct {
	name  string
	value json.RawMessage
}

// pairsOf are the members of an object, in their order.
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
