package harness

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A Recorder stands between a client and the gateway and notes what they say to each other. Agents are tested through
// one: how many requests they needed is how a loop shows.
type Recorder struct {
	// URL is where it listens, without a slash at the end.
	URL string

	// mu guards the list and all exchanges in it.
	mu        sync.Mutex
	exchanges []*Exchange
}

// An Exchange is a request and its answer.
type Exchange struct {
	// All but Status and Answer are the request's, as it came.
	Method, Path string
	Header       http.Header
	Body         []byte
	Status       int    // 0 while there is no answer
	Answer       []byte // so far
}

// StartRecorder starts a recorder in front of the gateway. When the test fails, it logs what was said.
func StartRecorder(t testing.TB, gateway *Gateway) *Recorder {
	t.Helper()
	target, err := url.Parse(gateway.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(target) },
		FlushInterval: -1, // an event at a time
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// Read as a whole before it goes on, so that it is recorded also when the gateway doesn't read it.
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the client left
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		e := &Exchange{Method: req.Method, Path: req.URL.Path, Header: req.Header.Clone(), Body: body}
		r.mu.Lock()
		r.exchanges = append(r.exchanges, e)
		r.mu.Unlock()
		proxy.ServeHTTP(&tee{ResponseWriter: w, r: r, e: e}, req)
	}))
	r.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if t.Failed() {
			t.Logf("what client and gateway said:\n%s", r)
		}
	})
	return r
}

// Exchanges returns those with the given path: "/v1/chat/completions".
func (r *Recorder) Exchanges(path string) []Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Exchange
	for _, e := range r.exchanges {
		if e.Path == path {
			// A copy; the answer's bytes may still grow behind its length.
			found = append(found, *e)
		}
	}
	return found
}

// String tells everything, for failure messages. Long bodies lose their middle.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for i, e := range r.exchanges {
		fmt.Fprintf(&b, "%d: %s %s\n> %s\n< %d %s\n", i+1, e.Method, e.Path, shorten(e.Body), e.Status, shorten(e.Answer))
	}
	return b.String()
}

// shorten takes the middle out of a long text.
func shorten(text []byte) []byte {
	const most = 1000
	if len(text) <= most {
		return text
	}
	return bytes.Join([][]byte{text[:most/2], text[len(text)-most/2:]}, []byte(" […] "))
}

// tee notes an answer on its way.
type tee struct {
	http.ResponseWriter
	// r has the lock for e.
	r *Recorder
	e *Exchange
}

// Unwrap lets http.ResponseController flush.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (t *tee) WriteHeader(status int) {
	t.r.mu.Lock()
	t.e.Status = status
	t.r.mu.Unlock()
	t.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (t *tee) Write(p []byte) (int, error) {
	t.r.mu.Lock()
	t.e.Answer = append(t.e.Answer, p...)
	t.r.mu.Unlock()
	return t.ResponseWriter.Write(p)
}
