package cli

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"composer-api/internal/agent"
)

// What a server prints goes to a place that may stop taking it: a terminal in which somebody has pressed Ctrl-S or, on Windows,
// marks text; a pipe whose reader hangs or has ended. A turn must not wait for that, nor end by it.

const (
	// mostQueued bounds what waits to be written, in bytes: some seven thousand lines.
	mostQueued = 1 << 20
	// lastWords is how long the end of a server waits for what it has printed.
	lastWords = time.Second
)

// A logQueue is a writer that never waits: a goroutine of its own writes to the place behind it, in order. What comes while
// mostQueued bytes wait is left out, each Write whole, and then said to have been. It is safe for concurrent use.
//
//	parts of the server ── Write ──► waiting ──► run ──► the place behind
type logQueue struct {
	w io.Writer
	// leftOut writes to w, itself and not by way of the queue, how many lines are missing.
	leftOut func(lines int)
	done    chan struct{} // closed when run has ended

	mu      sync.Mutex
	more    sync.Cond // on mu; there is something for run
	waiting []byte
	lost    int // lines since waiting was full
	closed  bool
}

// newLogQueue begins to write to w. format is that of the log, "text" or "json". The caller closes it.
func newLogQueue(w io.Writer, format string) *logQueue {
	own := slog.New(newHandler(w, format, slog.LevelWarn))
	q := &logQueue{w: w, done: make(chan struct{}), leftOut: func(lines int) {
		own.Warn("lines of the log are missing here: they were not read in time", "lines", lines)
	}}
	q.more.L = &q.mu
	go q.run()
	return q
}

// Write implements io.Writer. It copies p, which is one line or some. There is no error: nobody could do anything about it.
func (q *logQueue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		// Whoever prints after the end isn't waited for.
	case len(q.waiting)+len(p) > mostQueued:
		q.lost++
	default:
		q.waiting = append(q.waiting, p...)
		q.more.Signal()
	}
	return len(p), nil
}

// run writes what waits, all of it at once, until Close. A place that takes nothing any more, as a pipe without a reader, is an
// error that nobody can be told.
func (q *logQueue) run() {
	defer close(q.done)
	// A writer with a bug would end the process otherwise. From then on lines are counted, and nothing is written.
	defer agent.CatchPanic(func(*agent.Error) {})
	const keep = 64 << 10 // of a buffer between two writes, in bytes
	var text []byte
	for {
		q.mu.Lock()
		for len(q.waiting) == 0 && !q.closed {
			q.more.Wait()
		}
		if len(q.waiting) == 0 {
			q.mu.Unlock()
			return
		}
		if cap(text) > keep {
			text = nil
		}
		text, q.waiting = q.waiting, text[:0]
		lost := q.lost
		q.lost = 0
		q.mu.Unlock()
		_, _ = q.w.Write(text)
		// What is lost came after all that was waiting.
		if lost > 0 {
			q.leftOut(lost)
		}
	}
}

// Close writes what waits, for which it gives lastWords, and ends the queue. What is written afterwards is left out.
func (q *logQueue) Close() {
	q.mu.Lock()
	q.closed = true
	q.more.Signal()
	q.mu.Unlock()
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C:
	}
}

// withLogQueue is p for a server: what it prints is queued, and a log whose reader has ended ends nobody. The caller calls done when
// the server has ended. Errors that it returns are printed after that, to the place itself.
func (p *process) withLogQueue(format string) (_ *process, done func()) {
	// Without it, a write to standard error whose reader is gone ends a Go program. Source: package os/signal. Nobody receives.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	q := newLogQueue(p.stderr, format)
	queued := *p
	queued.stderr = q
	return &queued, func() {
		q.Close()
		signal.Stop(broken)
	}
}
