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

// The first event is read on another goroutine, where nobody could recover, and one request would end the process.
func TestAPanicOfABackendReachesTheCallerOfTheTurn(t *testing.T) {
	run := &brokenRun{}
	c := newChat(t, newGateway(t, broken{run})).user("hi")
	defer func() {
		p, _ := recover().(string)
		if !strings.HasPrefix(p, "a bug") || !strings.Contains(p, "brokenRun") || !run.closed {
			t.Errorf("recovered %q, the run closed: %v", p, run.closed)
		}
	}()
	c.send()
}
