package gateway

import (
	"context"
	"time"

	"composer-api/internal/agent"
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

// A nextEvent is the result of a run's Next, in another goroutine. It goes through a channel
// with room for one, so the reading goroutine never waits for the turn.
type nextEvent struct {
	event agent.Event
	usage *agent.Usage // what came before it; nil when nothing did
	err   error
}

// first waits for the turn's first output. The client's headers are sent with it, or when the time for a refusal is over. If
// the run ends before that, its end decides what the client gets. Usage is no output.
//
//	within the grace      the client gets
//	output                its headers and the output
//	an error              an error with a status of its own, or the answer of another run
//	nothing               its headers; an error that comes later is in the stream
//
// A goroutine reads meanwhile. It ends before first returns.
//
// The loop waits again while the backend retries: each time for what is left of the grace of
// the newest attempt (graceLeft), and never beyond limit. After the headers are sent, the wait
// has no bound of its own: the run's stall timeout ends it.
func (t *turn) first(ctx context.Context) (agent.Event, error) {
	run, got := t.run, make(chan nextEvent, 1)
	go func() { got <- t.firstOutput(ctx, run) }()
	grace, limit := refusalGrace, refusalLimit
	if t.from == agent.ResumeParked {
		grace, limit = parkedGrace, parkedGrace
	}
	until := time.Now().Add(limit)
	for wait := grace; wait > 0; wait = min(graceLeft(run), time.Until(until)) {
		select {
		case n := <-got:
			return t.took(n)
		case <-time.After(wait):
		}
	}
	if err := t.accept(); err != nil {
		run.Close() // ends Next
		<-got
		return agent.Event{}, err
	}
	return t.took(<-got)
}

// firstOutput reads up to the first event that is not usage. A panic in the backend would end
// the process here, on a goroutine that nobody above watches, so it becomes the run's error.
func (t *turn) firstOutput(ctx context.Context, run agent.Run) (n nextEvent) {
	defer agent.CatchPanic(func(err *agent.Error) {
		t.g.cfg.Log.Error("a run panicked", "err", err)
		n.err = err
	})
	for {
		n.event, n.err = run.Next(ctx)
		if n.err != nil || n.event.Kind != agent.UsageKind {
			return n
		}
		usage := *n.event.Usage
		n.usage = &usage
	}
}

// took handles what first has waited for, in the turn's own goroutine.
//
// An end (Done) is returned without accept: end accepts itself, once the conversation is
// remembered or the run parked.
func (t *turn) took(n nextEvent) (agent.Event, error) {
	if n.usage != nil {
		t.answer.setUsage(*n.usage)
	}
	if n.err != nil || n.event.Kind == agent.DoneKind {
		return n.event, n.err
	}
	return n.event, t.accept()
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
