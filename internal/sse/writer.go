package sse

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
)

// Config says how a Writer treats its connection. The zero value is good for everything but tests.
type Config struct {
	// KeepAlive is the silence after which a sign of life is sent; 0 means 12 s. Proxies and clients give up on a silent
	// connection after 15 s at the earliest.
	KeepAlive time.Duration
	// KeepAliveEvent is sent instead of a comment, for clients that wait for an event: whole, blank line included.
	KeepAliveEvent string
	// WriteTimeout is how long a write may wait for a client that doesn't read before the connection is given up;
	// 0 means 60 s. The deadline is renewed lazily, so a stuck write ends after three quarters of it at the earliest.
	// It must be more than twice KeepAlive: on HTTP/2 a deadline that passes ends the stream even if nothing is being
	// written.
	WriteTimeout time.Duration
}

// keepAlive is the usual sign of life, a comment. One newline, not two: some older OpenAI SDKs take a blank line for the end of
// an event that is empty, and stop.
const keepAlive = ": keepalive\n"

// A burst larger than flushSize goes out in several writes. Buffers that grew beyond maxPooled don't
// return to the pool. Both are in bytes.
const (
	flushSize = 16 << 10
	maxPooled = 32 << 10
)

// buffers holds buffers between a flush and the next event, so that a stream that waits holds none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// A Writer sends events to one client. Its methods are called by one goroutine, the handler's;
// keep-alives, which come from a timer's goroutine, are safe beside them.
//
// An event's way: Buffer and SetBuffer append it, Flush (or Close, or a full buffer) writes it. The
// first Flush also sends the headers and starts the keep-alives.
//
// Two goroutines use it: the handler's, and the timer's (tick). mu is held for whole writes,
// which may take as long as WriteTimeout; that is why tick never waits for it.
type Writer struct {
	// cfg has its defaults filled in and doesn't change.
	cfg Config

	// Of the caller's goroutine alone.
	// No lock: only these two are used outside of it.
	pooled *[]byte // what buf came in; nil when nothing is buffered
	buf    []byte  // whole events, not written yet

	mu       sync.Mutex // guards what follows, and every use of w
	w        http.ResponseWriter
	rc       *http.ResponseController
	timer    *time.Timer // calls tick
	last     time.Time   // of the last write
	deadline time.Time   // of writes, as the connection has it
	err      error       // of the first write that failed
	// closed says that nothing is written any more, keep-alives included.
	closed bool
}

// NewWriter prepares w for events: it sets the headers, which go out with the first Flush. The caller closes the
// Writer before its handler returns.
func NewWriter(w http.ResponseWriter, cfg Config) *Writer {
	cfg.KeepAlive = cmp.Or(cfg.KeepAlive, 12*time.Second)
	cfg.KeepAliveEvent = cmp.Or(cfg.KeepAliveEvent, keepAlive)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, time.Minute)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx would collect the events
	sw := &Writer{cfg: cfg, w: w, rc: http.NewResponseController(w)}
	sw.timer = time.AfterFunc(math.MaxInt64, sw.tick)
	return sw
}

// Buffer returns what is buffered. Append whole events, blank line included, and hand the result to SetBuffer before
// the next call of any method. An event is never split over two of these pairs, because a keep-alive may come
// between.
func (w *Writer) Buffer() []byte {
	if w.pooled == nil {
		w.pooled = buffers.Get().(*[]byte)
		w.buf = (*w.pooled)[:0]
	}
	return w.buf
}

// SetBuffer takes back what Buffer returned, with events appended. A buffer that has grown large is flushed.
func (w *Writer) SetBuffer(b []byte) error {
	w.buf = b
	if len(b) < flushSize {
		return nil
	}
	return w.Flush()
}

// Flush sends what is buffered with one write, and the response headers if they have not gone out. An
// error means that the client can't be reached any more; every later call returns the same.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	begun := !w.last.IsZero()
	if begun && len(w.buf) == 0 {
		return w.err // nothing goes out, so the silence goes on
	}
	if !begun {
		w.timer.Reset(w.cfg.KeepAlive)
	}
	err := w.send(w.buf)
	w.release()
	return err
}

// Close flushes and stops the keep-alives. Afterwards nothing touches the ResponseWriter, which the
// server takes back when the handler returns. Close may be called more than once.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.err
	}
	if len(w.buf) > 0 {
		w.send(w.buf)
	}
	w.release()
	w.closed = true
	w.timer.Stop()
	return w.err
}

// errClosed is the error of a Flush after Close.
var errClosed = errors.New("sse: writer is closed")

// send writes p and flushes it through to the connection. The write deadline is set only when a
// quarter of it has passed, because setting it has a cost of its own. The caller holds mu.
func (w *Writer) send(p []byte) error {
	if w.err != nil {
		return w.err
	}
	w.last = time.Now()
	if renewed := w.last.Add(w.cfg.WriteTimeout); renewed.Sub(w.deadline) > w.cfg.WriteTimeout/4 {
		w.deadline = renewed
		if err := w.rc.SetWriteDeadline(renewed); err != nil && !errors.Is(err, http.ErrNotSupported) {
			w.err = err
			return err
		}
	}
	if len(p) > 0 {
		_, w.err = w.w.Write(p)
	}
	if w.err == nil {
		w.err = w.rc.Flush()
	}
	return w.err
}

// release gives the buffer back to the pool. It belongs to the caller's goroutine.
func (w *Writer) release() {
	if w.pooled == nil {
		return
	}
	if cap(w.buf) <= maxPooled {
		*w.pooled = w.buf[:0]
		buffers.Put(w.pooled)
	}
	w.pooled, w.buf = nil, nil
}

// tick is called by the timer: it sends a keep-alive if the silence was long enough, and sets the timer
// for when the next may be due. It must not wait for mu: a write to a client that doesn't read can hold
// it for as long as WriteTimeout.
func (w *Writer) tick() {
	// net/http's writers panic when they are used in a way that they don't expect. Of that only this client may notice.
	defer func() {
		if p := recover(); p != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.err = fmt.Errorf("sse: panic in a keep-alive: %v", p)
		}
	}()
	if !w.mu.TryLock() { // something is being written: that is no silence
		w.timer.Reset(w.cfg.KeepAlive)
		return
	}
	defer w.mu.Unlock()
	if w.closed || w.err != nil {
		return
	}
	silence := time.Since(w.last)
	if silence >= w.cfg.KeepAlive {
		w.send([]byte(w.cfg.KeepAliveEvent))
		silence = 0
	}
	w.timer.Reset(w.cfg.KeepAlive - silence)
}
