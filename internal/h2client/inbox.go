package h2client

import (
	"errors"
	"io"
	"sync"
)

// An inbox holds what has come for a stream until it is read. The server's window bounds it. It is safe for concurrent use;
// one goroutine reads. While nothing is in it, it holds no memory beside itself: ten thousand streams may be waiting.
//
// Its lock is taken last: whoever holds it takes no other.
type inbox struct {
	// mu guards all fields.
	mu     sync.Mutex
	filled sync.Cond // on mu: something was put in, or err was set
	// first to last are what wasn't read. Only last has room.
	first, last *chunk
	err         error // what read says when nothing is left
	remain      int64 // bytes that the response's length says must come; -1: it says nothing
	uncredited  int   // bytes that were read, and that the server doesn't know of yet
}

// A chunk is a piece of an inbox: data[start:end] wasn't read.
type chunk struct {
	// next is the one that came after it; nil for the last.
	next *chunk
	// start and end say which bytes wait: those before were read, those after are free.
	start, end int
	// With the fields above, a chunk is 4 KiB on 64-bit systems, a size that Go allocates without waste.
	data [4<<10 - 24]byte
}

// chunks are shared by all inboxes.
// A chunk has bytes of conversations in it until it is used again; nobody reads beyond end.
var chunks = sync.Pool{New: func() any { return new(chunk) }}

// put adds p, which is copied. It reports false when that is more than the response's length allows.
func (in *inbox) put(p []byte) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err != nil {
		return true // nobody will read it
	}
	if in.remain >= 0 {
		if in.remain -= int64(len(p)); in.remain < 0 {
			return false
		}
	}
	for len(p) > 0 {
		// The pool's chunk has the bounds of its last use.
		if in.last == nil || in.last.end == len(in.last.data) {
			c := chunks.Get().(*chunk)
			c.next, c.start, c.end = nil, 0, 0
			if in.last == nil {
				in.first = c
			} else {
				in.last.next = c
			}
			in.last = c
		}
		n := copy(in.last.data[in.last.end:], p)
		in.last.end += n
		p = p[n:]
	}
	in.filled.Signal()
	return true
}

// read waits until there is something, and moves it into p. credit is how many bytes the server may send for what was read up
// to now, once they are at least least; else 0.
func (in *inbox) read(p []byte, least int) (n, credit int, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.first == nil && in.err == nil {
		in.filled.Wait()
	}
	// What has come before the end is read first, and the error only then.
	if in.first == nil {
		return 0, 0, in.err
	}
	for n < len(p) && in.first != nil {
		c := in.first
		took := copy(p[n:], c.data[c.start:c.end])
		n += took
		if c.start += took; c.start == c.end {
			in.dropFirst()
		}
	}
	return n, in.credit(n, least), nil
}

// skip counts n bytes as read that nobody will read: padding. credit is as for read.
func (in *inbox) skip(n, least int) (credit int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.credit(n, least)
}

// credit adds n to what the server doesn't know of. It returns all of it, once that is least or more; else 0. A server that sends
// little at a time so gets no answer for each bit. mu is held.
func (in *inbox) credit(n, least int) (credit int) {
	if in.uncredited += n; in.uncredited >= least {
		credit, in.uncredited = in.uncredited, 0
	}
	return credit
}

// dropFirst gives the first chunk back. mu is held.
func (in *inbox) dropFirst() {
	c := in.first
	if in.first = c.next; in.first == nil {
		in.last = nil
	}
	c.next = nil
	chunks.Put(c)
}

// end says that nothing more will come, because of err. What is there can still be read, unless drop is set. The first end
// counts, but one that drops replaces one that doesn't.
func (in *inbox) end(err error, drop bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	// Shorter than its Content-Length: who reads must not take it for whole.
	if errors.Is(err, io.EOF) && in.remain > 0 {
		err = io.ErrUnexpectedEOF
	}
	if in.err == nil || drop {
		in.err = err
	}
	for drop && in.first != nil {
		in.dropFirst()
	}
	in.filled.Broadcast()
}
