package sse_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/memnet"
	"composer-api/internal/sse"
)

// add buffers event.
func add(t *testing.T, w *sse.Writer, event string) {
	t.Helper()
	if err := w.SetBuffer(append(w.Buffer(), event...)); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, w *sse.Writer) {
	t.Helper()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// A recorder remembers each write and flush.
type recorder struct {
	header http.Header
	fail   error

	mu  sync.Mutex
	log []string
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Write(p []byte) (int, error) {
	r.note(string(p))
	return len(p), r.fail
}
func (r *recorder) FlushError() error {
	r.note("flush")
	return r.fail
}

func (r *recorder) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, s)
}

// saw checks what was written and flushed since it was last called.
func (r *recorder) saw(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.log = nil }()
	if got, want := strings.Join(r.log, "|"), strings.Join(want, "|"); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func TestBatchIsOneWriteAndOneFlush(t *testing.T) {
	rec := newRecorder()
	w := sse.NewWriter(rec, sse.Config{})
	add(t, w, "data: a\n\n")
	add(t, w, "data: b\n\n")
	flush(t, w)
	add(t, w, "data: c\n\n")
	flush(t, w)
	w.Close()
	rec.saw(t, "data: a\n\ndata: b\n\n", "flush", "data: c\n\n", "flush")
}

func TestHeaders(t *testing.T) {
	rec := httptest.NewRecorder()
	w := sse.NewWriter(rec, sse.Config{})
	flush(t, w) // nothing buffered: the headers go out by themselves
	w.Close()
	if !rec.Flushed || rec.Code != 200 {
		t.Errorf("flushed %v, status %d", rec.Flushed, rec.Code)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no",
	} {
		if got := rec.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestLargeBurstGoesOutBeforeTheFlush(t *testing.T) {
	rec := newRecorder()
	w := sse.NewWriter(rec, sse.Config{})
	event := "data: " + strings.Repeat("x", 10<<10) + "\n\n"
	add(t, w, event)
	add(t, w, event)
	rec.saw(t, event+event, "flush")
	w.Close()
	rec.saw(t)
}

func TestCloseFlushesOnceAndEndsTheWriter(t *testing.T) {
	rec := newRecorder()
	w := sse.NewWriter(rec, sse.Config{})
	add(t, w, "data: a\n\n")
	w.Close()
	w.Close()
	rec.saw(t, "data: a\n\n", "flush")
	if w.Flush() == nil {
		t.Error("Flush after Close: no error")
	}
}

func TestWriteErrorStays(t *testing.T) {
	rec := newRecorder()
	w := sse.NewWriter(rec, sse.Config{})
	rec.fail = errors.New("gone")
	for range 2 {
		add(t, w, "data: a\n\n")
		if err := w.Flush(); !errors.Is(err, rec.fail) {
			t.Errorf("Flush: %v", err)
		}
	}
	if err := w.Close(); !errors.Is(err, rec.fail) {
		t.Errorf("Close: %v", err)
	}
	rec.saw(t, "data: a\n\n")
}

func TestKeepAliveAfterSilenceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		w := sse.NewWriter(rec, sse.Config{KeepAlive: 10 * time.Second})
		flush(t, w)
		for range 3 { // 24 s with an event every 8 s: no silence
			time.Sleep(8 * time.Second)
			add(t, w, "data: a\n\n")
			flush(t, w)
		}
		rec.saw(t, "flush", "data: a\n\n", "flush", "data: a\n\n", "flush", "data: a\n\n", "flush")
		for range 3 { // a flush of nothing doesn't break it
			time.Sleep(8 * time.Second)
			flush(t, w)
		}
		synctest.Wait()
		rec.saw(t, ": keepalive\n", "flush", ": keepalive\n", "flush")

		add(t, w, "data: waiting for its flush\n\n")
		time.Sleep(17 * time.Second)
		synctest.Wait()
		rec.saw(t, ": keepalive\n", "flush", ": keepalive\n", "flush")

		w.Close()
		time.Sleep(time.Hour)
		rec.saw(t, "data: waiting for its flush\n\n", "flush")
	})
}

// serve answers one request over real HTTP with handler and gives the client's side of it.
func serve(t *testing.T, protocols *http.Protocols, handler http.HandlerFunc, client func(*http.Response)) {
	l := memnet.Listen()
	server := &http.Server{Handler: handler, Protocols: protocols}
	go server.Serve(l)
	tr := l.Transport(protocols)
	req, _ := http.NewRequestWithContext(context.Background(), "GET", "http://gw/", nil)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	client(resp)
	resp.Body.Close()
	tr.CloseIdleConnections()
	server.Close()
	l.Close()
}

func protocols() map[string]*http.Protocols {
	var h1, h2 http.Protocols
	h1.SetHTTP1(true)
	h2.SetUnencryptedHTTP2(true)
	return map[string]*http.Protocols{"HTTP/1.1": &h1, "h2c": &h2}
}

func TestSilentHourIsSurvived(t *testing.T) {
	for name, p := range protocols() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				serve(t, p, func(rw http.ResponseWriter, r *http.Request) {
					w := sse.NewWriter(rw, sse.Config{})
					defer w.Close()
					flush(t, w)
					time.Sleep(time.Hour)
					add(t, w, "data: a\n\n")
					flush(t, w)
				}, func(resp *http.Response) {
					body, err := io.ReadAll(resp.Body)
					if err != nil {
						t.Fatal(err)
					}
					text, found := strings.CutSuffix(string(body), "data: a\n\n")
					if n := strings.Count(text, ": keepalive\n"); !found || n < 299 || n*len(": keepalive\n") != len(text) {
						t.Errorf("%d keep-alives and the event %v in %d bytes", n, found, len(body))
					}
				})
			})
		})
	}
}

func TestClientThatDoesNotReadIsGivenUp(t *testing.T) {
	for name, p := range protocols() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failed := make(chan time.Duration, 1)
				serve(t, p, func(rw http.ResponseWriter, r *http.Request) {
					begin := time.Now()
					w := sse.NewWriter(rw, sse.Config{})
					defer w.Close()
					event := "data: " + strings.Repeat("x", 8<<10) + "\n\n"
					for {
						if w.SetBuffer(append(w.Buffer(), event...)) != nil || w.Flush() != nil {
							break
						}
					}
					failed <- time.Since(begin)
				}, func(*http.Response) {
					if after := <-failed; after > time.Minute {
						t.Errorf("given up after %v", after)
					}
				})
			})
		})
	}
}

func TestBufferingCostsNoAllocation(t *testing.T) {
	w := sse.NewWriter(discard{http.Header{}}, sse.Config{})
	defer w.Close()
	if n := testing.AllocsPerRun(1000, func() {
		add(t, w, "data: a\n\n")
		flush(t, w)
	}); n != 0 {
		t.Errorf("%v allocations per event", n)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) Flush()                      {}
