package service

import (
	"bytes"
	"sync"
)

// A journal holds the events of a running background response, for the encoder to write and any number to read. It is
// the encoder's [responses.Out]; reading is safe beside that.
type journal struct {
	buf []byte // the encoder's scratch

	mu      sync.Mutex
	events  [][]byte      // whole events as they go to a client; their sequence numbers are their indexes
	ended   bool          // nothing more will come
	changed chan struct{} // closed and replaced whenever there is something new
}

func newJournal() *journal { return &journal{changed: make(chan struct{})} }

// Buffer implements responses.Out.
func (j *journal) Buffer() []byte { return j.buf[:0] }

// SetBuffer implements responses.Out. The line that ends a stream is no event; whoever reads writes it anew.
func (j *journal) SetBuffer(event []byte) error {
	j.buf = event
	if !bytes.HasPrefix(event, []byte("event:")) {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, bytes.Clone(event))
	return nil
}

// Flush implements responses.Out: readers learn of what is new.
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

func (j *journal) announce() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// from returns the events from sequence number n on, whether they are the last, and a channel that is closed when
// there is more to know. The events must not be changed.
func (j *journal) from(n int) (events [][]byte, ended bool, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events[min(n, len(j.events)):], j.ended, j.changed
}
