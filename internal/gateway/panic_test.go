package gateway

import (
	"context"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

// broken is a backend with a bug.
type broken struct{ run *brokenRun }

func (b broken) Name() string                                             { return "broken" }
func (b broken) Start(context.Context, *agent.Request) (agent.Run, error) { return b.run, nil }

type brokenRun struct {
	agent.Run
	closed bool
}

func (r *brokenRun) Next(context.Context) (agent.Event, error) { panic("a bug") }
func (r *brokenRun) Close() error                              { r.closed = true; return nil }

// The first event is read on another goroutine, where nobody above could recover, and one request would end the process.
func TestAPanicOfABackendIsAnErrorOfItsTurn(t *testing.T) {
	run := &brokenRun{}
	_, err := newChat(t, newGateway(t, broken{run})).user("hi").send()
	e := agent.AsError(err)
	if e.Code != agent.Internal || !strings.Contains(e.Error(), "a bug") || !strings.Contains(e.Error(), "brokenRun") || !run.closed {
		t.Errorf("%v, the run closed: %v", err, run.closed)
	}
	if strings.Contains(e.UserMessage(), "bug") {
		t.Errorf("the client is told %q", e.UserMessage())
	}
}
