package gateway

import (
	"context"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/control"
)

const (
	// refusalGrace is how long the client's headers wait for upstream to refuse what it has accepted.
	// Upstream reports on an accepted stream, usually at once, that a limit is reached or a model is
	// blocked; within this time that can still become an HTTP status. If nothing comes, the model is
	// thinking, and the client should see that it is connected. See decisions/0007.
	refusalGrace = 100 * time.Millisecond
	// refusalLimit is how long the headers wait at most, while the backend retries what upstream has
	// refused.
	refusalLimit = 3 * time.Second
	// parkedGrace is refusalGrace for a run that was parked. It may have died in the meantime, and a backend notices a
	// dead connection only when its stall timeout (30 s by default) is over. The turn then starts again, and the headers
	// should say so. It is less than the minute after which proxies give up.
	parkedGrace = 40 * time.Second
)

// first waits for the turn's first output. The client's headers are sent with it, or when the time for a refusal is over. If
// the run ends before that, its end decides what the client gets. Usage is no output.
//
//	within the grace      the client gets
//	output                its headers and the output
//	an error              an error with a status of its own, or the answer of another run
//	nothing               its headers; an error that comes later is in the stream
//
// An end (Done) is returned without accept: end accepts itself, once the conversation is remembered or the run parked.
func (t *turn) first(ctx context.Context) (agent.Event, error) {
	wait := t.acceptInTime()
	e, err := t.firstOutput(ctx)
	if failed := wait.end(); failed != nil {
		return agent.Event{}, failed
	}
	if err != nil || e.Kind == agent.DoneKind {
		return e, err
	}
	return e, t.accept()
}

// firstOutput reads up to the first event that is not usage. A panic in the backend is the run's error: another run may do better.
func (t *turn) firstOutput(ctx context.Context) (e agent.Event, err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) {
		t.g.cfg.Log.Error("a run panicked", "err", panicked)
		err = panicked
	})
	for {
		e, err = t.run.Next(ctx)
		if err != nil || e.Kind != agent.UsageKind {
			return e, err
		}
		t.answer.setUsage(*e.Usage)
	}
}

// An acceptance accepts a turn whose run is silent, when the time for a refusal is over. A timer does that and no goroutine: most
// runs say something before, and each that is silent would keep one.
//
// While the run is being read for its first output, the turn's answer is the timer's. The reading goroutine changes nothing then
// that accept looks at, and waits in end for an accept that is under way.
type acceptance struct {
	// turn and run don't change.
	turn  *turn
	run   *control.Run
	until time.Time // however often the backend retries

	mu sync.Mutex // is not held while the client is written to
	// timer calls accept at until; nil once it is over.
	timer    *time.Timer
	over     bool          // the first output is there
	accepted chan struct{} // closed when accept is done; nil before it begins
	err      error         // of accept: the client can't be reached
}

// acceptInTime begins to wait. The caller ends the acceptance before it uses the answer.
func (t *turn) acceptInTime() *acceptance {
	grace, limit := refusalGrace, refusalLimit
	if t.from == agent.ResumeParked {
		grace, limit = parkedGrace, parkedGrace
	}
	a := &acceptance{turn: t, run: t.run, until: time.Now().Add(limit)}
	a.mu.Lock() // the timer may be faster than the assignment
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(grace, a.ring)
	return a
}

// ring accepts the turn, unless the backend is still retrying. A client that can't be reached ends the run, and with it the wait
// for its output.
func (a *acceptance) ring() {
	defer agent.CatchPanic(a.panicked)
	if !a.begin() {
		return
	}
	defer close(a.accepted)
	if a.err = a.accept(); a.err != nil {
		a.run.Close()
	}
}

// accept accepts the turn and tells the client. A panic of the surface is an error, because somebody waits for the end of this.
func (a *acceptance) accept() (err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) {
		a.panicked(panicked)
		err = panicked
	})
	if err := a.turn.accept(); err != nil {
		return err
	}
	return a.turn.answer.flush()
}

// panicked logs a bug that was met in the timer's goroutine.
func (a *acceptance) panicked(err *agent.Error) {
	a.turn.g.cfg.Log.Error("accepting a turn panicked", "err", err)
}

// begin reports whether it is time to accept. While the backend retries, the timer is set again, for what is left of the grace of
// the newest attempt.
func (a *acceptance) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return false
	}
	if wait := min(graceLeft(a.run), time.Until(a.until)); wait > 0 {
		a.timer.Reset(wait)
		return false
	}
	a.accepted = make(chan struct{})
	return true
}

// end ends the wait, also for an accept that is under way, whose error it returns.
func (a *acceptance) end() error {
	a.mu.Lock()
	a.over = true
	a.timer.Stop()
	accepted := a.accepted
	a.mu.Unlock()
	if accepted == nil {
		return nil
	}
	<-accepted
	return a.err
}

// graceLeft is how much of refusalGrace is left for a run that had some time already: none, unless the backend has started it
// again since.
func graceLeft(run agent.Run) time.Duration {
	retrying, ok := run.(agent.Retrying)
	if !ok {
		return 0
	}
	accepted := retrying.AcceptedAt()
	if accepted.IsZero() {
		return refusalGrace
	}
	return refusalGrace - time.Since(accepted)
}
