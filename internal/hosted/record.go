package hosted

import (
	"context"

	"composer-api/internal/agent"
	"composer-api/internal/watch"
)

// The request log, as something around the gateway: internal/cli always puts it in front of it.

// Record returns a Turner that writes every turn with a hosted key into the request log of s, before it
// begins and when it is over. A turn that can't be recorded, or that the key's limits don't allow, is refused. Nothing of the
// content is written. statusOf tells the HTTP status that an error code has, so that this package needs no table of a surface.
func Record(turns agent.Turner, s *Service, statusOf func(agent.Code) int) agent.Turner {
	return &recorder{turns, s, statusOf}
}

// A recorder has no state of its own; it may be used concurrently.
type recorder struct {
	// turns is the gateway, or what stands before it.
	turns    agent.Turner
	service  *Service
	statusOf func(agent.Code) int // 200 for no failure
}

// Turn implements agent.Turner. The row is completed whatever became of the turn: its error is in it, too.
func (r *recorder) Turn(ctx context.Context, req *agent.Request, sink agent.Sink) error {
	entry, err := r.service.BeginRequest(ctx, req)
	if err != nil {
		return err
	}
	if entry == nil { // the caller's own Cursor key: nothing is written
		return r.turns.Turn(ctx, req, sink)
	}
	if entry.left != nil {
		sink = limitedSink{sink, entry.left}
	}
	seen := watch.NewSink(req, sink)
	err = r.turns.Turn(ctx, req, seen)
	seen.Err = err
	entry.Finish(ctx, &seen.Turn, r.statusOf(agent.CodeOf(err)))
	return err
}
