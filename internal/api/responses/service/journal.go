package service

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
)

// A journal holds the events of a running background response, for the encoder to write and any number to read. It is
// the encoder's [responses.Out]; reading is safe beside that. The events are bytes as a stream sends them:
//
//	event: response.output_text.delta
//	data: {"type":"response.output_text.delta","sequence_number":4,…}
//
// so a follower copies them to its client, and the store keeps them as they are.
//
//	who                          calls
//	the encoder (one goroutine)  Buffer, SetBuffer, Flush
//	the job                      end once, close once
//	readers, any number          from
//
// Nothing is ever taken out of events, so a slice that from has returned stays valid.
type journal struct {
	buf    []byte  // the encoder's scratch
	budget *budget // that the events are in

	// mu guards what follows.
	mu      sync.Mutex
	events  [][]byte      // whole events as they go to a client; their sequence numbers are their indexes
	size    int           // bytes of the events
	ended   bool          // nothing more will come
	changed chan struct{} // closed and replaced whenever there is something new
}

// newJournal makes an empty journal whose events count against a budget.
func newJournal(in *budget) *journal { return &journal{budget: in, changed: make(chan struct{})} }

// A budget counts the bytes that the journals which share it hold together. It is safe for concurrent use. The journals
// take whatever they are given, also beyond it: a response must end with the events that say so. Who makes the events
// asks exceeded first.
type budget struct {
	max int64 // bytes; when there are more, responses are ended
	// used is the sum over all journals that are not closed.
	used atomic.Int64
}

// exceeded reports whether more is held than max.
func (b *budget) exceeded() bool { return b.used.Load() > b.max }

// close gives the journal's bytes back to the budget, once. Readers may still read: the events are garbage only after
// the last of them.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.budget.used.Add(-int64(j.size))
}

// errOverBudget ends a response when the budget for events is exceeded. It is the answer for the client, too.
var errOverBudget = &agent.Error{Code: agent.Overloaded, Message: "The server keeps as many events of background responses as it may. Please try again later.", RetryAfter: 10 * time.Second}

// Buffer implements responses.Out.
func (j *journal) Buffer() []byte { return j.buf[:0] }

// SetBuffer implements responses.Out. The line that ends a stream is no event; whoever reads
// writes it again. The event is copied, because the encoder uses its buffer again.
func (j *journal) SetBuffer(event []byte) error {
	j.buf = event
	if !bytes.HasPrefix(event, []byte("event:")) {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, bytes.Clone(event))
	j.size += len(event)
	j.budget.used.Add(int64(len(event)))
	return nil
}

// Flush implements responses.Out: readers learn of what is new. The encoder calls it after each group of events, so
// that a reader wakes up once for several.
func (j *journal) Flush() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.announce()
	return nil
}

// end says that nothing more will come.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	j.announce()
}

// announce wakes all readers. The caller holds mu.
func (j *journal) announce() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// from returns the events from sequence number n on, whether they are the last, and a channel that is closed when
// there is more to know. The events must not be changed. A reader's loop:
//
//	events, ended, changed := j.from(next)
//	… write events, next += len(events) …
//	if ended { return }
//	<-changed // what came since from is not missed: the channel is closed already
func (j *journal) from(n int) (events [][]byte, ended bool, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events[min(n, len(j.events)):], j.ended, j.changed
}
