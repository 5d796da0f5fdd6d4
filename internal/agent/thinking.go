package agent

import "strings"

// Thinking that comes back as text. Some clients show the model's thinking at the beginning of
// the answer, and later send all of it as what the assistant has said. A transcript is compared
// and sent without it.

// A wrap is what a client puts around thinking that it sends back as text of the answer.
type wrap struct{ open, close string }

// wraps are those that clients are known to use. None of them is a form in which models are asked to answer, as
// <thinking> and <reasoning> are: what the model itself has said must stay.
var wraps = []wrap{
	{"<think>", "</think>"},                     // pydantic-ai, LobeChat and others
	{`<details type="reasoning"`, "</details>"}, // Open WebUI; attributes follow
	{":::thinking", "\n:::"},                    // LibreChat
}

// WithoutThinking is a text of the assistant's without the thinking at its beginning, which
// some clients send back there: it was never part of the answer. Thinking that isn't closed is
// left as it is. Several pieces of thinking, one after the other, are all left out.
func WithoutThinking(text string) string {
	for {
		rest := strings.TrimLeft(text, thinkingSpace)
		w := wrapOf(rest)
		if w == nil {
			return text
		}
		_, after, closed := strings.Cut(rest[len(w.open):], w.close)
		if !closed {
			return text
		}
		text = strings.TrimLeft(after, thinkingSpace)
	}
}

// ThinkingMayFollow reports whether a text that goes on after this may turn out to begin with thinking: it begins with
// thinking that isn't closed, or is too short to say.
func ThinkingMayFollow(text string) bool {
	rest := strings.TrimLeft(WithoutThinking(text), thinkingSpace)
	for _, w := range wraps {
		if n := min(len(rest), len(w.open)); strings.EqualFold(rest[:n], w.open[:n]) {
			return true
		}
	}
	return false
}

// thinkingSpace is what may stand around thinking, and goes with it.
const thinkingSpace = " \t\r\n"

// wrapOf is the wrap that text begins with; nil when there is none. The case of letters doesn't matter.
func wrapOf(text string) *wrap {
	for i := range wraps {
		if w := &wraps[i]; len(text) >= len(w.open) && strings.EqualFold(text[:len(w.open)], w.open) {
			return w
		}
	}
	return nil
}
