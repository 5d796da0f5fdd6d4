package control

import (
	"bytes"
	"math"
	"unicode/utf8"

	"composer-api/internal/agent"
)

// A limiter cuts an answer at the client's limits: before a stop text, or after so many tokens. It holds back no more
// than what may be the beginning of a stop text. The zero value cuts nothing.
type limiter struct {
	stop    [][]byte
	limited bool
	budget  int    // bytes that may still pass when limited
	met     string // the stop text that was met: nothing passes any more
	held    []byte
	joined  []byte // scratch: held and the new text
}

// newLimiter makes a limiter that cuts before any of stops and after maxTokens; 0 is no limit. Tokens are counted by the
// one estimate that the program has, agent.SizePerToken bytes each.
func newLimiter(stops []string, maxTokens int) limiter {
	l := limiter{limited: maxTokens > 0, budget: min(maxTokens, math.MaxInt/agent.SizePerToken) * agent.SizePerToken}
	for _, s := range stops {
		l.stop = append(l.stop, []byte(s))
	}
	return l
}

// text takes a piece of the answer and returns what may pass now, valid until the next call, and why the answer must
// end after it, 0 when it goes on.
func (l *limiter) text(in []byte) (out []byte, cut agent.Reason) {
	if l.met != "" {
		return nil, agent.Stop
	}
	if len(l.stop) > 0 {
		in, cut = l.beforeStop(in)
	}
	out, spent := l.spend(in)
	if spent {
		cut = agent.Length
	}
	return out, cut
}

// thinking takes a piece of reasoning, which counts against the budget but holds no stop text.
func (l *limiter) thinking(in []byte) (out []byte, cut agent.Reason) {
	if l.met != "" {
		return nil, agent.Stop
	}
	out, spent := l.spend(in)
	if spent {
		cut = agent.Length
	}
	return out, cut
}

// rest is what was held back, at the end of an answer that met no stop text, and why it was cut, 0 when it is whole.
func (l *limiter) rest() (out []byte, cut agent.Reason) {
	out, spent := l.spend(l.held)
	l.held = nil
	if spent {
		cut = agent.Length
	}
	return out, cut
}

func (l *limiter) beforeStop(in []byte) (out []byte, cut agent.Reason) {
	l.joined = append(append(l.joined[:0], l.held...), in...)
	// Of several stop texts the one that is complete first counts, so that it doesn't matter how the answer came in
	// pieces.
	start, end := -1, len(l.joined)+1
	for _, s := range l.stop {
		if i := bytes.Index(l.joined, s); i >= 0 && (i+len(s) < end || i+len(s) == end && i < start) {
			start, end = i, i+len(s)
		}
	}
	if start >= 0 {
		l.held, l.met = l.held[:0], string(l.joined[start:end])
		return l.joined[:start], agent.Stop
	}
	keep := l.possibleStop(l.joined)
	out = l.joined[:len(l.joined)-keep]
	l.held = append(l.held[:0], l.joined[len(out):]...)
	return out, 0
}

// possibleStop is the length of the longest end of text that a stop text begins with.
func (l *limiter) possibleStop(text []byte) int {
	longest := 0
	for _, s := range l.stop {
		for n := min(len(s)-1, len(text)); n > longest; n-- {
			if bytes.HasSuffix(text, s[:n]) {
				longest = n
			}
		}
	}
	return longest
}

// spend takes in off the budget. When it doesn't fit, out is what does, whole characters only.
func (l *limiter) spend(in []byte) (out []byte, spent bool) {
	if !l.limited || len(in) <= l.budget {
		l.budget -= len(in)
		return in, false
	}
	end := l.budget
	for end > 0 && !utf8.RuneStart(in[end]) {
		end--
	}
	l.budget = 0
	return in[:end], true
}
