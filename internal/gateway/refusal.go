package gateway

import (
	"context"
	"time"

	"composer-api/internal/agent"
)

const (
	// refusalGrace is how long the client's headers wait for upstream to refuse what it has accepted. Upstream says on
	// an accepted stream, usually at once, that a limit is reached or a model is blocked; within this time that still
	// becomes an honest status. What takes longer to speak is thinking, and the client should see that it is connected.
	refusalGrace = 100 * time.Millisecond
	// refusalLimit is how long they wait at most, while the backend tries again what upstream has refused.
	refusalLimit = 3 * time.Second
)

// first waits for the turn's first event. The client learns that the run is on with it, or when the time for a refusal
// is over.
func (t *turn) first(ctx context.Context) (agent.Event, error) {
	type next struct {
		event agent.Event
		err   error
	}
	run, got := t.run, make(chan next, 1)
	go func() {
		e, err := run.Next(ctx)
		got <- next{e, err}
	}()
	limit := time.Now().Add(refusalLimit)
	for wait := refusalGrace; wait > 0; wait = min(graceLeft(run), time.Until(limit)) {
		select {
		case n := <-got:
			if n.err != nil {
				return n.event, n.err
			}
			return n.event, t.accept()
		case <-time.After(wait):
		}
	}
	if err := t.accept(); err != nil {
		run.Close() // ends Next
		<-got
		return agent.Event{}, err
	}
	n := <-got
	return n.event, n.err
}

// graceLeft is how much of refusalGrace is left for a run that had some time already: none, unless it has begun again
// since.
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
