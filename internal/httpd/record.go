package httpd

import (
	"context"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/hosted"
)

// RequestLog writes down the requests of hosted keys: an *hosted.Service.
type RequestLog interface {
	BeginRequest(ctx context.Context, caller agent.Caller, requestID, endpoint string) (*hosted.Request, error)
}

// Record makes a Turner that writes every turn of a hosted key into log, before it begins and when it is over. A turn
// that can't be written down is refused. What was said is not written.
func Record(turns agent.Turner, log RequestLog) agent.Turner { return &recorded{turns, log} }

type recorded struct {
	turns agent.Turner
	log   RequestLog
}

// Turn implements agent.Turner.
func (t *recorded) Turn(ctx context.Context, req *agent.Request, sink agent.Sink) error {
	from, _ := ctx.Value(originKey{}).(origin)
	entry, err := t.log.BeginRequest(ctx, req.Caller, from.requestID, from.route)
	if err != nil {
		return err
	}
	if entry == nil { // the caller's own Cursor key: nothing is written
		return t.turns.Turn(ctx, req, sink)
	}
	seen := &observed{Sink: sink}
	err = t.turns.Turn(ctx, req, seen)
	seen.Status, seen.Err = http.StatusOK, err
	if err != nil {
		seen.Status = openai.RowOf(agent.CodeOf(err)).Status
	}
	entry.Finish(ctx, seen.Outcome)
	return err
}

// An observed sink notes what the log wants to know of what passes.
type observed struct {
	agent.Sink
	hosted.Outcome
}

// Accept implements agent.Sink.
func (o *observed) Accept(a agent.Accepted) error {
	o.Model, o.ConversationID = a.Model.String(), a.ConversationID
	return o.Sink.Accept(a)
}

// Event implements agent.Sink.
func (o *observed) Event(e *agent.Event) error {
	if e.Kind == agent.UsageKind {
		o.Usage = *e.Usage
	}
	return o.Sink.Event(e)
}

// An origin is the HTTP request that a turn comes from.
type origin struct{ requestID, route string }

type originKey struct{}

func withOrigin(r *http.Request, o origin) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), originKey{}, o))
}
