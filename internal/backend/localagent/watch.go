package localagent

import (
	"context"

	"composer-api/internal/agent"
)

// The end of a turn's context resets the stream. This file keeps the registration for that: one for a whole turn.

// A watch is the registration that waits for the end of the current turn's context.
type watch struct {
	done <-chan struct{} // of that context
	stop func() bool
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
		r.watched = watch{done, context.AfterFunc(ctx, func() { r.interrupt(ctx.Err()) })}
	}
}

// unwatch ends the registration, so that a context that ends after its turn does not end the run. mu is held.
func (r *run) unwatch() {
	if r.watched.stop != nil {
		r.watched.stop()
	}
	r.watched = watch{}
}

// interrupt ends the run because its turn's context has ended. context.AfterFunc calls it in a goroutine of its own.
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
