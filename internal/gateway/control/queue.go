package control

import "composer-api/internal/agent"

// A queue holds events that are to be given, with the memory of their text. Its memory is used again when it is empty.
//
// One goroutine uses it. It grows to what one inner event gives, which is a few events at most,
// or the text that was held back until the end of a turn (maxHeld).
type queue struct {
	// events are those that were pushed since the queue was empty last.
	events []agent.Event
	// next is the index of the first event that pop has not taken. memory is where the events'
	// text lies. It only grows until the queue is empty, because append may move it: events
	// that point to the old place keep that alive.
	next   int
	memory []byte
}

// len is the number of events that pop has not taken.
func (q *queue) len() int { return len(q.events) - q.next }

// push puts in an event. What it points to must stay as it is; for text see queue.text.
func (q *queue) push(e agent.Event) { q.events = append(q.events, e) }

// text puts in a copy of text, unless it is empty. The copy's capacity ends with its length, so
// nobody who appends to it can reach the text behind it.
func (q *queue) text(kind agent.Kind, text []byte) {
	if len(text) == 0 {
		return
	}
	start := len(q.memory)
	q.memory = append(q.memory, text...)
	q.push(agent.Event{Kind: kind, Text: q.memory[start:len(q.memory):len(q.memory)]})
}

// pop takes out the first event. Its text is valid until the next pop.
func (q *queue) pop() (e agent.Event, ok bool) {
	if q.next == len(q.events) {
		if q.next > 0 {
			clear(q.events) // lets go of what they point to
			q.events, q.next, q.memory = q.events[:0], 0, q.memory[:0]
		}
		return e, false
	}
	e = q.events[q.next]
	q.next++
	return e, true
}
