package localagent

import "composer-api/internal/agent"

// A queue holds events that were found before Next asked for them, in their order. It is protected by run.mu. Its
// events own their bytes, because the buffer that they were read into is used again.
//
// push goes beyond the bounds when it must: the events of one message, and the end of a turn,
// are never dropped. full is asked by the background reader, between messages.
type queue struct {
	// events are taken from the front.
	events []agent.Event
	size   int // bytes of text and arguments
}

// The bounds of a queue. Beyond them the background reader stops, and flow control makes upstream wait.
const (
	maxQueued      = 1024      // events
	maxQueuedBytes = 256 << 10 // a single event may be larger
)

// len is the number of events.
func (q *queue) len() int { return len(q.events) }

// full reports whether nothing more should be read until something was taken out.
func (q *queue) full() bool { return len(q.events) >= maxQueued || q.size >= maxQueuedBytes }

// push adds an event at the end, full or not.
func (q *queue) push(e agent.Event) {
	q.events = append(q.events, e)
	q.size += sizeEvent(&e)
}

// pop takes the first event out. There must be one. It clears the slot, so that the array keeps nothing alive.
func (q *queue) pop() agent.Event {
	e := q.events[0]
	q.events[0] = agent.Event{}
	if q.events = q.events[1:]; len(q.events) == 0 {
		q.events = nil
	}
	q.size -= sizeEvent(&e)
	return e
}

// withdraw removes a call that was not yielded yet. A call that the client has got already is
// not here any more, and nothing happens.
func (q *queue) withdraw(callID string) {
	for i, e := range q.events {
		if e.Kind == agent.Call && e.Call.ID == callID {
			q.size -= sizeEvent(&e)
			q.events = append(q.events[:i:i], q.events[i+1:]...)
			return
		}
	}
}

// sizeEvent is about how many bytes an event holds.
func sizeEvent(e *agent.Event) int {
	size := len(e.Text)
	if e.Call != nil {
		size += len(e.Call.Arguments)
	}
	return size
}
