package localagent

import (
	"context"

	"composer-api/internal/agent"
)

// The end of a turn's context resets the stream. This file keeps the registration for that: one for a whole turn.

// A watch is the registration that waits for the end of the current turn's context.
type watch struct {
	done <-chan struct{} // of that context
	// stop takes the registration back; it is nil for none.
	stop   func() bool
	number int // of the registration; those that are over have lower ones
}

// watch makes the stream be reset when ctx ends. The registration holds for the whole turn, because making one for
// each event would be most of what an event costs. mu is held.
func (r *run) watch(ctx context.Context) {
	done := ctx.Done()
	if done == r.watched.done {
		return
	}
	r.unwatch()
	if done != nil {
		r.watched.done = done
		number := r.watched.number
		r.watched.stop = context.AfterFunc(ctx, func() { r.leftTurn(number, ctx.Err()) })
	}
}

// unwatch ends the registration, so that a context that ends after its turn does not end the run. mu is held.
func (r *run) unwatch() {
	if r.watched.stop != nil {
		r.watched.stop()
	}
	r.watched = watch{number: r.watched.number + 1}
}

// leftTurn ends the run because the context of a turn has ended. context.AfterFunc calls it in a goroutine of its own, which
// may come late: the run is parked by then, or has its next turn, and goes on.
func (r *run) leftTurn(number int, err error) {
	defer agent.CatchPanic(r.panicked)
	r.mu.Lock()
	if number != r.watched.number {
		r.mu.Unlock()
		return
	}
	r.stopFor(err)
	s := r.stream
	r.mu.Unlock()
	if s != nil {
		s.close(err)
	}
}

// interrupt ends the run because its turn's context has ended, as the turn itself has found.
func (r *run) interrupt(err error) {
	defer agent.CatchPanic(r.panicked)
	r.mu.Lock()
	r.stopFor(err)
	s := r.stream
	r.mu.Unlock()
	if s != nil {
		s.close(err)
	}
}
