package httpd

import (
	"net/http"
	"strings"
	"time"
)

// A response is the http.ResponseWriter that routes write to. It remembers what the log wants to know. One goroutine
// uses it at a time.
type response struct {
	http.ResponseWriter
	control *http.ResponseController

	route  string // the pattern that matched; "" when none did
	status int    // 0 until the header is written
	bytes  int64
	err    error // how the request failed, for the log
}

func newResponse(w http.ResponseWriter) *response {
	return &response{ResponseWriter: w, control: http.NewResponseController(w)}
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// writeTimeout is how long a client may take to read an answer that is no stream.
const writeTimeout = time.Minute

// begin notes the status, and gives a whole answer a deadline: a client that doesn't read would hold it for ever.
// Streams look after their own, see sse.Writer.
func (w *response) begin(status int) {
	w.status = status
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
		// Where there are no deadlines (a recorder in a test) there is no such client.
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

// began reports whether it is too late for a status.
func (w *response) began() bool { return w.status != 0 }
