package watch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
	"composer-api/internal/watch"
)

// notes is an Observer of one turn.
type notes struct {
	began, retries int
	repairs        []agent.Repair
	gaps           []time.Duration
	turn           watch.Turn
}

// inTurn is in the context of the turns that notes have begun.
type inTurn struct{}

func (n *notes) TurnBegan(ctx context.Context, o *agent.Origin) context.Context {
	n.began++
	o.Trace.Parent = "the turn's"
	return context.WithValue(ctx, inTurn{}, true)
}

func (n *notes) Retrying(ctx context.Context) {
	if ctx.Value(inTurn{}) != nil {
		n.retries++
	}
}
func (n *notes) Repairing(_ context.Context, why agent.Repair) { n.repairs = append(n.repairs, why) }
func (n *notes) Gap(d time.Duration)                           { n.gaps = append(n.gaps, d) }
func (n *notes) TurnEnded(_ context.Context, turn *watch.Turn) { n.turn = *turn }

func TestATurnIsToldWithItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := time.Now()
		time.Sleep(5 * time.Millisecond)
		n := &notes{}
		turns := watch.Turns(agenttest.TurnerFunc(func(ctx context.Context, req *agent.Request, sink agent.Sink) error {
			if ctx.Value(inTurn{}) == nil || req.Origin.Trace.Parent != "the turn's" {
				t.Error("the turn is not carried out in the observer's context")
			}
			time.Sleep(100 * time.Millisecond)
			req.Watcher.Retrying()
			req.Watcher.Repairing(agent.RepairJSON)
			sink.Accept(agent.Accepted{Upstream: "demo", Resume: agent.ResumeParked, Waited: time.Minute})
			for range 3 {
				time.Sleep(10 * time.Millisecond)
				sink.Event(&agent.Event{Kind: agent.Text, Text: []byte("word")})
			}
			sink.Event(&agent.Event{Kind: agent.Call, Call: &agent.ToolCall{}})
			sink.Event(&agent.Event{Kind: agent.UsageKind, Usage: &agent.Usage{Output: 3}})
			sink.Event(&agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.ToolCalls}})
			return nil
		}), n)
		if err := turns.Turn(t.Context(), &agent.Request{Origin: agent.Origin{Received: received}}, agenttest.Discard{}); err != nil {
			t.Fatal(err)
		}
		turn := &n.turn
		if turn.Queue() != 5*time.Millisecond || turn.Connected.Sub(turn.Begun) != 100*time.Millisecond ||
			turn.FirstToken.Sub(turn.Begun) != 110*time.Millisecond || turn.Ended.Sub(turn.Begun) != 130*time.Millisecond {
			t.Errorf("the times are wrong: %+v", turn)
		}
		if turn.Outcome() != "tool_calls" || turn.Pieces != 3 || turn.Calls != 1 || turn.Usage.Output != 3 || turn.Accepted.Waited != time.Minute {
			t.Errorf("the turn is wrong: %+v", turn)
		}
		if len(n.gaps) != 2 || n.gaps[0] != 10*time.Millisecond || n.began != 1 || n.retries != 1 || len(n.repairs) != 1 || turn.Origin.Trace.Parent != "the turn's" {
			t.Errorf("%+v", n)
		}
	})
}

func TestAFailedTurnIsToldToo(t *testing.T) {
	n := &notes{}
	failed := &agent.Error{Code: agent.Overloaded}
	turns := watch.Turns(agenttest.TurnerFunc(func(context.Context, *agent.Request, agent.Sink) error { return failed }), n)
	if err := turns.Turn(t.Context(), &agent.Request{}, agenttest.Discard{}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if n.turn.Outcome() != "overloaded" || !n.turn.Connected.IsZero() || n.turn.Queue() != 0 {
		t.Errorf("%+v", n.turn)
	}
}
