package httpd

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
)

// A response is the http.ResponseWriter that routes write to. It remembers what the log needs, and bounds how long
// an answer may take to be read. One goroutine uses it at a time.
//
//	who              sets
//	routes.go        route, endpoint
//	observe          received, trace
//	begin            status, and the deadline of an answer that is no stream
//	watchedBody      unread
//	fail             err
//	forward          moved
type response struct {
	http.ResponseWriter
	// control sets deadlines and flushes.
	control *http.ResponseController

	received time.Time   // when the header had been read
	trace    agent.Trace // the request's span; zero when nobody traces

	route    string // the pattern that matched; "" when none did
	endpoint string // the same with its base
	status   int    // 0 until the header is written
	// bytes are those of the body that were written.
	bytes int64
	err   error              // how the request failed, for the log
	moved *answeredElsewhere // by which replica it was answered; nil when by this one

	// unread is true while a body of HTTP/1 has not been read to its end. With HTTP/2 it doesn't
	// matter: a stream ends without the connection.
	unread bool
}

// newResponse wraps w. It is called once for each request, by observe.
func newResponse(w http.ResponseWriter) *response {
	return &response{ResponseWriter: w, control: http.NewResponseController(w)}
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Interim statuses (1xx) don't begin the answer.
func (w *response) WriteHeader(status int) {
	switch {
	case w.status != 0:
	case status >= 200:
		w.begin(status)
	case status == http.StatusSwitchingProtocols:
		w.status = status // the connection is taken over next, deadlines and all
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// bodyGrace is how long the rest of a body that nobody reads may still come after the answer. Closing at once could
// reset the connection before the client has read the answer.
const bodyGrace = time.Second

// watchBody replaces r.Body by one that records in w when its end was read. It is called once, before the
// handlers.
func (w *response) watchBody(r *http.Request) {
	if r.ProtoMajor == 1 && r.Body != nil && r.Body != http.NoBody {
		w.unread = true
		r.Body = &watchedBody{ReadCloser: r.Body, w: w}
	}
}

// A watchedBody clears w.unread when its end was read.
type watchedBody struct {
	io.ReadCloser
	w *response
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.w.unread = false
	}
	return n, err
}

// closeUnread makes the server answer without waiting for the rest of the body, and close the connection. Without
// it net/http reads up to 256 KB before it sends the header, and a client that sends nothing would hold the
// connection for ever.
func (w *response) closeUnread() {
	if w.unread {
		w.Header().Set("Connection", "close")
		_ = w.control.SetReadDeadline(time.Now().Add(bodyGrace))
	}
}

// writeTimeout is how long a client may take to read an answer that is not a stream.
const writeTimeout = time.Minute

// begin records the status, and gives an answer that is not a stream a deadline: a client that doesn't read would
// hold it for ever. Streams set deadlines of their own, see sse.Writer.
func (w *response) begin(status int) {
	w.status = status
	w.closeUnread()
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
		// A writer without deadlines is a recorder in a test.
		_ = w.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
}

// FlushError is for http.ResponseController.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	return w.control.Flush()
}

// Flush implements http.Flusher.
func (w *response) Flush() { w.FlushError() }

// began reports whether the status has been written.
func (w *response) began() bool { return w.status != 0 }
