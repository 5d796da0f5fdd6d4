package cursorsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"composer-api/internal/sim/script"
)

// A chatStyle is how the model writes what the older chat endpoint has no fields for: where
// thinking ends, and tool calls. Real models vary, so clients have to accept every combination.
// The zero value is the plainest, and is used unless there is a seed. A style is chosen for each
// answer from the seed and the number of the run, so that a test with a seed sees the same again.
type chatStyle struct {
	// random is nil for the plainest style.
	random *rand.Rand
	// final is the marker behind which the answer follows in the thinking field; "" when it comes in the text field.
	final string
	wide  bool // full-width bars, and blocks for underscores
	blank bool // blanks around the words of markers
	body  int  // how a call is written
}

// The forms of a call's body. All of them were seen from Cursor's models. Where the arguments can't be
// written in a form without a change, bodyObject is used in its place.
const (
	// <|tool_sep|>ARGUMENT and, on the next line, its value
	bodySections = iota
	// {"name":…,"arguments":{…}}
	bodyObject
	bodyFunction   // an object with function.name and function.arguments, a string
	bodyExpression // NAME(argument: value)
	bodyForms
)

// randomStyle chooses a style for one answer.
func randomStyle(random *rand.Rand) chatStyle {
	// No marker is in the list twice, so that the plain form is the most frequent.
	finals := []string{"", "", "</think>", "\n</think>\n<|final|>", "<｜final｜>", "< / think >", " <| final |>"}
	return chatStyle{
		random: random, final: finals[random.IntN(len(finals))],
		wide: random.IntN(3) == 0, blank: random.IntN(3) == 0, body: random.IntN(bodyForms),
	}
}

// mark writes a marker in the answer's style: <|tool_sep|>, <| tool_sep |>, <｜tool▁sep｜>.
func (s *chatStyle) mark(word string) string {
	bar, blank := "|", ""
	if s.wide {
		bar, word = "｜", strings.ReplaceAll(word, "_", "▁")
	}
	if s.blank {
		blank = " "
	}
	return "<" + bar + blank + word + blank + bar + ">"
}

// writeCall writes a call with its markers.
func (s *chatStyle) writeCall(b *strings.Builder, call script.Call) {
	b.WriteString(s.mark("tool_call_begin"))
	// The line breaks around a body are there in every form that was seen.
	b.WriteString("\n" + s.callBody(call) + "\n")
	b.WriteString(s.mark("tool_call_end"))
}

// callBody writes what is between the markers of one call. A body may have the text of an
// argument without quotes (sections, expressions); plainArguments says where that is not
// possible without a change.
func (s *chatStyle) callBody(call script.Call) string {
	arguments, plain := plainArguments(call.Args)
	form := s.body
	// bodyFunction has the arguments as a text of JSON, so everything fits into it.
	if !plain && form != bodyFunction {
		form = bodyObject
	}
	switch form {
	case bodySections:
		b := call.Tool + "\n"
		for _, a := range arguments {
			b += s.mark("tool_sep") + a.name + "\n" + a.value + "\n"
		}
		return strings.TrimSuffix(b, "\n")
	case bodyFunction:
		body, _ := json.Marshal(map[string]any{"function": map[string]string{"name": call.Tool, "arguments": string(call.Args)}})
		return string(body)
	case bodyExpression:
		var list []string
		for _, a := range arguments {
			list = append(list, fmt.Sprintf("%s: %s", a.name, a.raw))
		}
		return call.Tool + "(" + strings.Join(list, ", ") + ")"
	}
	body, _ := json.Marshal(map[string]any{"name": call.Tool, "arguments": call.Args})
	return string(body)
}

// An argument is one member of a call's arguments.
type argument struct {
	// Arguments keep the order in which the script has them.
	name  string
	value string // a text as it is, anything else as JSON
	raw   string // as JSON
}

// plainArguments takes the arguments apart, in their order. plain is false when they can't be written
// without quotes: a text would be taken for another kind of value ("true", "12", "{}"), or it contains
// what could be a marker.
func plainArguments(object json.RawMessage) (list []argument, plain bool) {
	// Token by token, because a map would lose the order.
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	plain = true
	for d.More() {
		name, err := d.Token()
		var raw json.RawMessage
		if err != nil || d.Decode(&raw) != nil {
			return nil, false
		}
		a := argument{name: fmt.Sprint(name), value: string(raw), raw: string(raw)}
		var text string
		if json.Unmarshal(raw, &text) == nil && raw[0] == '"' {
			a.value = text
			trimmed := strings.TrimSpace(text)
			// A reader takes what is valid JSON for that value, and "<" could begin a marker.
			plain = plain && !(json.Valid([]byte(trimmed)) && trimmed[0] != '"') && !strings.ContainsAny(text, "<\r")
		}
		list = append(list, a)
	}
	return list, plain
}
