package main

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// A plan is what a prompt asks of the mock. It stands in the prompt as text, so that every server between passes it on
// without knowing of it.
type plan struct {
	id     int           // of the request, for the mock's list of who left
	events int           // words of the answer; with a tool, they come after its result
	burst  int           // words that go out in one write
	every  time.Duration // pause before each burst
	silent time.Duration // pause before the first word
	beat   bool          // a heartbeat goes out before that pause
	tool   bool          // the model calls a tool first
}

// planForm is a plan as text. JSON needs no escapes for it.
const planForm = "[[bench id=%d events=%d burst=%d every=%d silent=%d beat=%t tool=%t]]"

// planMark is how the text of a plan begins.
var planMark = []byte("[[bench ")

// String is the plan as it stands in a prompt. findPlan reads it.
func (p plan) String() string {
	// Durations are written as nanoseconds.
	return fmt.Sprintf(planForm, p.id, p.events, max(p.burst, 1), p.every, p.silent, p.beat, p.tool)
}

// findPlan finds the last plan in a prompt: those before it belong to earlier turns of the conversation.
func findPlan(prompt []byte) (p plan, err error) {
	at := bytes.LastIndex(prompt, planMark)
	if at < 0 {
		return p, fmt.Errorf("a prompt of %d bytes has no plan in it", len(prompt))
	}
	_, err = fmt.Sscanf(string(prompt[at:min(len(prompt), at+200)]), planForm, &p.id, &p.events, &p.burst, &p.every, &p.silent, &p.beat, &p.tool)
	return p, err
}

// appendWord appends word i, said at now. A word carries its number, so that none can be lost or come twice unnoticed, and its
// time, so that its delay can be measured: client and mock run on the same machine.
func appendWord(b []byte, i int, now time.Time) []byte {
	b = append(b, 'w')
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, '@')
	b = strconv.AppendInt(b, now.UnixNano(), 10)
	return append(b, ' ')
}

// A listener checks the words of one answer as they come, in pieces of any length.
type listener struct {
	// One goroutine uses it.
	next   int    // number of the word that must come
	rest   []byte // of a word that isn't whole yet
	delays *delays
}

// hear takes a piece of text. An error says which word was wrong.
func (l *listener) hear(piece []byte, now time.Time) error {
	// What was left of the piece before belongs to the word that goes on here.
	if len(l.rest) > 0 {
		piece = append(l.rest, piece...)
	}
	for {
		word, after, whole := bytes.Cut(piece, []byte(" "))
		if !whole {
			// A copy in an array of its own: piece lies in the reader's buffer.
			l.rest = append(l.rest[:0:0], piece...)
			return nil
		}
		number, said, ok := bytes.Cut(word, []byte("@"))
		if !ok || len(number) < 2 || string(number[1:]) != strconv.Itoa(l.next) {
			return fmt.Errorf("word %d was expected, and %q came", l.next, word)
		}
		if l.delays != nil {
			nanos, _ := strconv.ParseInt(string(said), 10, 64)
			l.delays.add(now.Sub(time.Unix(0, nanos)))
		}
		l.next++
		piece = after
	}
}
