package h2client

import (
	"net/http"

	"golang.org/x/net/http2"
)

// A stream is one request and its response. It is also the response's body.
//
//	             sentEnd                     over
//	open ─────────────────► half closed ──────────► off the connection
//	   │         gotEnd                   ▲
//	   └──────────────────► half closed ──┘
//	reset by either side, the connection's end, ctx ──► off the connection
//
// What isn't set before it is shared, and has no lock of its own, is guarded by the connection's mu.
type stream struct {
	// conn, source and id don't change once the stream is open. id is 0 for one that could not be opened.
	conn   *conn
	id     uint32
	source Source // nil when the request has no body
	// in has a lock of its own.
	in inbox

	stop func() bool // ends the watching of the request's context
	// answered is closed when response or refused is set; nil from then on.
	answered chan struct{}
	// response and refused are RoundTrip's to read, after answered was closed.
	response      *http.Response
	refused       error
	informational int // responses of status 1xx that have come

	sendWindow int64 // may be negative after a change of settings
	recvWindow int64 // what the server may still send
	queued     bool  // it is among those that the writer looks at
	more       bool  // the source has more than the windows allowed
	// sentEnd says that the request is whole: its last frame has gone out.
	sentEnd    bool
	gotHeaders bool // the final ones
	// gotEnd says that the response is whole; what wasn't read of it is in the inbox.
	gotEnd bool
	over   bool // it is off the connection
}

// Read implements io.Reader, for the response's body. It waits for the server, until Close or the end of the request's
// context.
func (s *stream) Read(p []byte) (int, error) {
	// The window is opened only by what was read, so a reader that has stopped stops the server, too.
	n, credit, err := s.in.read(p, s.conn.creditAfter())
	if credit > 0 {
		s.conn.credit(s, credit)
	}
	return n, err
}

// Close implements io.Closer. It resets the stream unless both sides have ended it, drops what wasn't read, and makes Read
// fail. It doesn't wait.
func (s *stream) Close() error {
	s.abort(errBody)
	s.in.end(errBody, true) // it may have ended by itself before
	return nil
}

// abort resets the stream from our side.
func (s *stream) abort(err error) {
	code := http2.ErrCodeCancel
	c := s.conn
	c.mu.Lock()
	if s.gotEnd {
		code = http2.ErrCodeNo // the response was whole, and what we had to say isn't needed
	}
	ended := c.reset(s, code, err)
	if ended {
		s.in.end(err, true)
	}
	c.mu.Unlock()
	if ended {
		s.release()
	}
}

// release lets go of what the stream holds, when it is off the connection. It is called once, without locks.
func (s *stream) release() {
	s.conn.mu.Lock()
	stop := s.stop
	s.conn.mu.Unlock()
	// It doesn't wait for an abort that has begun; that one finds the stream over.
	if stop != nil {
		stop()
	}
	if s.source != nil {
		s.source.Close()
	}
	s.conn.changed()
}

// wake says that the source has something.
func (s *stream) wake(urgent bool) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.over || s.sentEnd {
		return
	}
	c.enqueue(s)
	c.kick(urgent)
}
