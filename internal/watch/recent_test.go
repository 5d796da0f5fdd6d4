package watch_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
	"composer-api/internal/watch"
)

func TestTheNewestFailuresAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recent := watch.NewRecent(2)
		turns := watch.Turns(agenttest.TurnerFunc(func(_ context.Context, req *agent.Request, sink agent.Sink) error {
			time.Sleep(time.Second)
			switch req.Origin.RequestID {
			case "well":
				return nil
			case "left":
				return &agent.Error{Code: agent.Canceled}
			case "refused":
				return &agent.Error{Code: agent.Overloaded}
			}
			sink.Accept(agent.Accepted{Upstream: "demo", Model: agent.Model{ID: "composer-2.5"}})
			return &agent.Error{Code: agent.Upstream}
		}), recent)
		for _, id := range []string{"first", "well", "refused", "left", "last"} {
			turns.Turn(t.Context(), &agent.Request{Origin: agent.Origin{RequestID: id, Endpoint: "POST /v1/responses"}}, agenttest.Discard{})
		}
		now := time.Now()
		want := []watch.Failure{
			{Ended: now, Took: time.Second, RequestID: "last", Endpoint: "POST /v1/responses", Upstream: "demo", Model: "composer-2.5", Code: agent.Upstream},
			{Ended: now.Add(-2 * time.Second), Took: time.Second, RequestID: "refused", Endpoint: "POST /v1/responses", Code: agent.Overloaded},
		}
		got := recent.Failures()
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}
