package localagent

import (
	"context"
	"time"

	"composer-api/internal/agent"
)

// What a turn gives the gateway next. Next asks decide what there is to do, and does it without the lock; Buffered looks
// ahead as far as it can without waiting. Both belong to the goroutine that reads the turn.

// todo is what Next has to do, as decide says.
type todo uint8

const (
	yield       todo = iota + 1 // an event is there
	stop                        // there is nothing more to come
	wait                        // for the background reader, or for the calls to settle
	readOn                      // the next message
	retryBroken                 // the stream that the background reader found broken
)

// Next implements agent.Run. Errors are *agent.Error, or ctx's own.
//
// When ctx ends, the stream is reset and the run is over. Nothing else can interrupt a read; a goroutine beside each
// stream that waits for it would cost more than all the rest of an event.
//
// Each round asks decide what to do and does it without mu, because all but yield and stop may wait.
func (r *run) Next(ctx context.Context) (agent.Event, error) {
	for {
		e, what, settled := r.decide(ctx)
		switch what {
		case yield:
			return e, nil
		case stop:
			return agent.Event{}, r.endError()
		case wait:
			r.await(settled)
		case readOn:
			if err := r.read(); err != nil {
				// Either another attempt is open now, or the run is over; decide tells which.
				r.streamEnded(ctx, err)
				continue
			}
			// The usual case, a word, without mu and without an allocation.
			if e, ok := r.delta(); ok {
				return e, nil
			}
			r.handle()
		case retryBroken:
			r.streamEnded(ctx, r.takeBroken())
		}
	}
}

// decide says what Next has to do. When it is to wait, settled is when to stop waiting for more calls; zero is never.
// When the result is readOn or retryBroken, the caller has the reading role.
//
// The order of the cases matters: queued events come before the end of a stream, and calls that the client has been
// given end the turn before anything more is read.
//
//	the first case that holds                      what
//	the run is over                                stop
//	something is queued                            yield
//	the turn is over and nobody called Resume      stop, with errMisused
//	calls were given, others may follow            wait until settled, the background reader reads
//	calls were given, the time is over             finishWithCalls, and look again
//	the background reader has the role             wait
//	the stream is broken                           retryBroken
//	else                                           readOn
func (r *run) decide(ctx context.Context) (e agent.Event, what todo, settled time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch(ctx)
	r.waiting = false
	for {
		switch {
		case r.over != nil:
			return e, stop, settled
		case r.queue.len() > 0:
			return r.yieldNext(), yield, settled
		case r.turnOver:
			r.stopFor(errMisused)
			return e, stop, settled
		case r.calls.given > 0:
			settled = r.calls.settled(r.backend.cfg.Settle)
			if r.broken == nil && time.Now().Before(settled) {
				r.readInBackground()
				r.waiting = true
				return e, wait, settled
			}
			r.finishWithCalls()
		case r.inBackground:
			r.waiting = true
			return e, wait, settled
		case r.broken != nil:
			return e, retryBroken, settled
		default:
			return e, readOn, settled
		}
	}
}

// yieldNext takes the first event out of the queue, and records what it means for the turn. mu is held.
func (r *run) yieldNext() agent.Event {
	e := r.queue.pop()
	switch {
	case e.Kind == agent.Call:
		r.calls.given++
	case e.Kind == agent.DoneKind:
		r.turnOver = e.Done.Reason == agent.ToolCalls
		r.unwatch() // the turn's context ends with the turn, the run does not
		if !r.turnOver {
			r.stopFor(errDone)
		}
	}
	return e
}

// Buffered implements agent.Run. It reads, without waiting, what has arrived, up to the first piece of text, which it
// leaves for Next. Messages in between that make no event are handled here: otherwise Buffered would have to report
// false although there is text after them.
//
// It may change run state as reading does. That is why it belongs to the goroutine of Next.
func (r *run) Buffered() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.queue.len() > 0 || r.over != nil || r.ahead:
			return true
		case r.inBackground || r.broken != nil || r.calls.given > 0 || r.turnOver:
			return false
		}
		if _, ok := r.stream.in.Peek(); !ok { // Peek, because what comes compressed would overwrite the event given last
			return r.clock.ended.Load() && r.stream.in.AtEnd() // then Next has the end of the turn at once
		}
		if err := r.stream.next(&r.message); err != nil {
			r.broken = err
			return false
		}
		switch m := &r.message; {
		case m.Kind == 0:
			r.handleLocked()
		case r.joiner(m.Kind).Yields(m.Text):
			r.ahead = true
			return true
		default:
			r.delta() // the joiner keeps the part of a character
		}
	}
}

// await waits until decide may have another answer: the background reader has queued something
// or has stopped, the run is over, or the time settled has come. A zero settled is never. A
// signal that is left from before only makes decide look once more.
func (r *run) await(settled time.Time) {
	if settled.IsZero() {
		<-r.wake
		return
	}
	timer := time.NewTimer(time.Until(settled))
	defer timer.Stop()
	select {
	case <-r.wake:
	case <-timer.C:
	}
}

// wakeNext makes a waiting Next call decide again. It never waits: the channel holds one signal, which is enough for
// any number of reasons.
func (r *run) wakeNext() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
