package localagent

import (
	"io"
	"sync"
)

// An outbox is the body of a stream's request: envelopes are put in on one side, in order, and the transport
// reads them on the other. Putting in never waits, so that heartbeats of ten thousand runs can come from one
// goroutine. It is safe for concurrent use.
//
// Its size has no bound of its own: heartbeats stop at maxUnsent, and everything else is an answer to something
// that upstream has sent.
//
//	put       adds; false after the end
//	Read      the transport takes
//	finish    the end comes after what is queued
//	Close     the end comes now, and what is queued is dropped: the transport resets the stream
type outbox struct {
	mu sync.Mutex
	// filled, on mu, wakes Read: something was put in, or err was set.
	filled sync.Cond
	queue  [][]byte
	size   int   // bytes in queue
	err    error // what Read says once the queue is empty
}

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
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return false
	}
	for _, p := range pieces {
		if len(p) > 0 {
			o.queue = append(o.queue, p)
			o.size += len(p)
		}
	}
	o.filled.Signal()
	return true
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
	return n, nil
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
	defer o.mu.Unlock()
	if o.err == nil || drop {
		o.err = err
	}
	if drop {
		o.queue, o.size = nil, 0
	}
	o.filled.Broadcast()
}
