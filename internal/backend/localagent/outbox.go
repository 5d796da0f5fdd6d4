package localagent

import (
	"io"
	"sync"

	"composer-api/internal/h2client"
)

// An outbox is the body of a stream's request: envelopes are put in on one side, in order, and the transport
// takes them on the other. Putting in never waits, so that heartbeats of ten thousand runs can come from one
// goroutine. It is safe for concurrent use.
//
// It is an h2client.Source, so that nobody has to wait for it. A transport of net/http's, which there is where only HTTP/1.1 is
// spoken, reads it.
//
// Its size has no bound of its own: heartbeats stop at maxUnsent, and everything else is an answer to something
// that upstream has sent.
//
//	put       adds; false after the end
//	Take      the transport takes, without waiting; wake tells it when
//	Read      the same, for a transport that waits
//	finish    the end comes after what is queued
//	Close     the end comes now, and what is queued is dropped: the transport resets the stream
type outbox struct {
	// mu guards everything but wake's being called.
	mu sync.Mutex
	// filled, on mu, wakes Read: something was put in, or err was set.
	filled sync.Cond
	queue  [][]byte
	size   int   // bytes in queue
	err    error // what Read and Take say once the queue is empty
	// wake tells the transport that something was put in, or err was set. It is called without mu; nil before Attach.
	wake func(urgent bool)
}

// Without it a body that lacks a method would be refused at the first run, and not by the compiler.
var _ h2client.Source = (*outbox)(nil)

// newOutbox makes an empty outbox. The transport closes it when the request ends; stream.close may do so earlier, which makes the
// transport reset the stream.
func newOutbox() *outbox {
	o := &outbox{}
	o.filled.L = &o.mu
	return o
}

// put queues an envelope, in one or several pieces, which must not be changed any more. It
// reports false when the stream is over. The pieces are kept and not copied: envelopes can be
// megabytes, and some are shared between runs.
func (o *outbox) put(pieces ...[]byte) bool {
	wake, ok := o.add(pieces)
	if wake != nil {
		wake(true)
	}
	return ok
}

// putLater is put for what isn't urgent. It may wait a moment, so that it goes out together with what other runs have to say.
func (o *outbox) putLater(piece []byte) {
	if wake, _ := o.add([][]byte{piece}); wake != nil {
		wake(false)
	}
}

// add queues the pieces, and returns what is to be told of it when mu isn't held any more.
func (o *outbox) add(pieces [][]byte) (wake func(urgent bool), ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, false
	}
	for _, p := range pieces {
		if len(p) > 0 {
			o.queue = append(o.queue, p)
			o.size += len(p)
		}
	}
	o.filled.Signal()
	return o.wake, true
}

// Attach implements h2client.Source.
func (o *outbox) Attach(wake func(urgent bool)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake = wake
}

// Take implements h2client.Source. It copies under the lock; a frame is 16 KiB at most.
func (o *outbox) Take(p []byte) (n int, more bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n = o.take(p)
	if more = len(o.queue) > 0; !more {
		err = o.err
	}
	return n, more, err
}

// waiting is how many bytes the transport hasn't taken yet.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

// Read implements io.Reader, for the transport. It waits until there is something, and returns
// as many envelopes as fit into p. It copies under the lock, so the transport's buffer bounds
// how long put may have to wait.
func (o *outbox) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) == 0 && o.err == nil {
		o.filled.Wait()
	}
	if len(o.queue) == 0 {
		return 0, o.err
	}
	return o.take(p), nil
}

// take moves as many bytes into p as there are and fit. mu is held.
func (o *outbox) take(p []byte) int {
	n := 0
	for n < len(p) && len(o.queue) > 0 {
		took := copy(p[n:], o.queue[0])
		n += took
		if o.queue[0] = o.queue[0][took:]; len(o.queue[0]) == 0 {
			o.queue[0] = nil
			o.queue = o.queue[1:]
		}
	}
	if len(o.queue) == 0 {
		o.queue = nil // most of the time there is nothing
	}
	o.size -= n
	return n
}

// finish ends the body once everything in it is read: the client's side of the stream ends properly.
func (o *outbox) finish() { o.end(io.EOF, false) }

// Close implements io.Closer: it ends the body at once and drops what wasn't read. The transport calls it, too.
func (o *outbox) Close() error {
	o.end(io.ErrClosedPipe, true)
	return nil
}

// end ends the body with err; drop says that what is queued is not sent any more. The first end counts, except that
// one that drops replaces one that doesn't.
func (o *outbox) end(err error, drop bool) {
	o.mu.Lock()
	if o.err == nil || drop {
		o.err = err
	}
	if drop {
		o.queue, o.size = nil, 0
	}
	o.filled.Broadcast()
	wake := o.wake
	o.mu.Unlock()
	if wake != nil {
		wake(true)
	}
}
