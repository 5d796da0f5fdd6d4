package watch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/watch"
)

// turnerFunc is a Turner.
type turnerFunc func(ctx context.Context, req *agent.Request, sink agent.Sink) error

func (f turnerFunc) Turn(ctx context.Context, req *agent.Request, sink agent.Sink) error {
	return f(ctx, req, sink)
}

// nowhere takes everything.
type nowhere struct{}

func (nowhere) Accept(agent.Accepted) error { return nil }
func (nowhere) Event(*agent.Event) error    { return nil }
func (nowhere) Flush() error                { return nil }

// notes is an Observer of one turn.
type notes struct {
	began, retries int
	gaps           []time.Duration
	turn           watch.Turn
}

func (n *notes) TurnBegan()                                    { n.began++ }
func (n *notes) Retrying()                                     { n.retries++ }
func (n *notes) Gap(d time.Duration)                           { n.gaps = append(n.gaps, d) }
func (n *notes) TurnEnded(_ context.Context, turn *watch.Turn) { n.turn = *turn }

func TestATurnIsToldWithItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := time.Now()
		time.Sleep(5 * time.Millisecond)
		n := &notes{}
		turns := watch.Turns(turnerFunc(func(_ context.Context, req *agent.Request, sink agent.Sink) error {
			time.Sleep(100 * time.Millisecond)
			req.Retrying()
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
		if err := turns.Turn(t.Context(), &agent.Request{Origin: agent.Origin{Received: received}}, nowhere{}); err != nil {
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
		if len(n.gaps) != 2 || n.gaps[0] != 10*time.Millisecond || n.began != 1 || n.retries != 1 {
			t.Errorf("%+v", n)
		}
	})
}

func TestAFailedTurnIsToldToo(t *testing.T) {
	n := &notes{}
	failed := &agent.Error{Code: agent.Overloaded}
	turns := watch.Turns(turnerFunc(func(context.Context, *agent.Request, agent.Sink) error { return failed }), n)
	if err := turns.Turn(t.Context(), &agent.Request{}, nowhere{}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if n.turn.Outcome() != "overloaded" || !n.turn.Connected.IsZero() || n.turn.Queue() != 0 {
		t.Errorf("%+v", n.turn)
	}
}
