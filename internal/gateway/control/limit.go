package control

import (
	"bytes"
	"math"
	"unicode/utf8"

	"composer-api/internal/agent"
)

// A limiter cuts an answer at the client's limits: before a stop text, or after so many tokens. It holds back no more
// than what may be the beginning of a stop text. The zero value cuts nothing. With the stop text "END":
//
//	in     "one E"   "N"   "D two"
//	out    "one "    ""    "" and Stop
//
// One goroutine uses it.
//
// Two of them stand in a Turn: count, which sees text on its way in, and text, which sees what
// the client gets; see Turn.Restart. The token limit is in bytes here, because our count of
// tokens is an estimate from bytes.
type limiter struct {
	// stops are all searched for at the same time; the first that is whole wins.
	stops   []stopText
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
		l.stops = append(l.stops, newStopText(s))
	}
	return l
}

// text takes a piece of the answer and returns what may pass now, valid until the next call,
// and why the answer must end after it, 0 when it goes on. in is not changed and not kept. Both
// results may be set: what passes, and that the answer ends after it.
func (l *limiter) text(in []byte) (out []byte, cut agent.Reason) {
	// Nothing passes any more. The run may still yield what it had on its way.
	if l.met != "" {
		return nil, agent.Stop
	}
	// First the stop texts, then the budget: what is held back is not spent yet.
	if len(l.stops) > 0 {
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

// rest is what was held back, at the end of an answer that met no stop text, and why it was
// cut, 0 when it is whole. It is called once, when the run has said that the answer is over.
func (l *limiter) rest() (out []byte, cut agent.Reason) {
	out, spent := l.spend(l.held)
	l.held = nil
	if spent {
		cut = agent.Length
	}
	return out, cut
}

// beforeStop takes a piece of the answer and returns what stands before a stop text, or can't belong to one any more.
//
// keep is the longest part at the end of the text that may still become a stop text. It waits
// in held until the next piece decides, or rest gives it out at the end.
func (l *limiter) beforeStop(in []byte) (out []byte, cut agent.Reason) {
	// Of several stop texts the one that is complete first counts, so that it doesn't matter how the answer came in
	// pieces; of those the longest.
	end, length, keep := len(in), 0, 0
	for i := range l.stops {
		s := &l.stops[i]
		// Only up to the end of one that was found: a later end can't count.
		if n := s.find(in[:end]); n > 0 && (n < end || len(s.text) > length) {
			end, length = n, len(s.text)
		}
		keep = max(keep, s.matched)
	}
	text := in
	if len(l.held) > 0 {
		l.joined = append(append(l.joined[:0], l.held...), in...)
		text = l.joined
	}
	if length > 0 {
		// end counts from the new text, which stands behind what was held.
		end += len(text) - len(in)
		l.held, l.met = l.held[:0], string(text[end-length:end])
		return text[:end-length], agent.Stop
	}
	out = text[:len(text)-keep]
	l.held = append(l.held[:0], text[len(out):]...)
	return out, 0
}

// A stopText finds a text in a stream, in time linear in the stream's length (the method of Knuth, Morris and Pratt).
type stopText struct {
	// text is never empty.
	text    []byte
	back    []int // back[n] is how much is left of n matched bytes when the next one differs
	matched int   // bytes of text that the stream ends with now
}

// newStopText makes the table back: back[n] is the length of the longest proper prefix of text that its first n bytes end with.
func newStopText(s string) stopText {
	t := stopText{text: []byte(s), back: make([]int, len(s)+1)}
	for n := 2; n <= len(s); n++ {
		k := t.back[n-1]
		for k > 0 && s[k] != s[n-1] {
			k = t.back[k]
		}
		if s[k] == s[n-1] {
			k++
		}
		t.back[n] = k
	}
	return t
}

// find reads on, and returns how much of in there is up to the end of the text, 0 when it is
// not complete. The state goes on from piece to piece; after a find it is as at the beginning.
func (t *stopText) find(in []byte) int {
	// IndexByte passes over all that can't begin the text, which is nearly everything.
	for i := 0; i < len(in); i++ {
		if t.matched == 0 {
			skip := bytes.IndexByte(in[i:], t.text[0])
			if skip < 0 {
				return 0
			}
			i += skip
		}
		for t.matched > 0 && t.text[t.matched] != in[i] {
			t.matched = t.back[t.matched]
		}
		if t.text[t.matched] == in[i] {
			t.matched++
		}
		if t.matched == len(t.text) {
			t.matched = 0
			return i + 1
		}
	}
	return 0
}

// spend takes in off the budget. When it doesn't fit, out is what does, whole characters only.
// A character that doesn't fit whole is left out: events are valid UTF-8.
func (l *limiter) spend(in []byte) (out []byte, spent bool) {
	if !l.limited || len(in) <= l.budget {
		l.budget -= len(in)
		return in, false
	}
	end := l.budget
	// in[end] is the first byte that doesn't fit. When it is in the middle of a character, that
	// goes, too.
	for end > 0 && !utf8.RuneStart(in[end]) {
		end--
	}
	l.budget = 0
	return in[:end], true
}

// spendWhole takes something off the budget that can't be given in part: so many bytes, with the text
// that is held back before it. It reports whether that fits. What doesn't fit takes nothing off.
func (l *limiter) spendWhole(size int) bool {
	if !l.limited {
		return true
	}
	// What is held back comes before it, and needs its place first.
	if size > l.budget-len(l.held) {
		return false
	}
	l.budget -= size
	return true
}
