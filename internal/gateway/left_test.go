package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// The client is gone before the turn ends in calls: nobody will bring their results.
func TestARunIsNotParkedForAClientThatLeft(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := c.g.Turn(ctx, c.request(), &recorder{onEvent: func(e *agent.Event) error {
		if e.Kind == agent.Call {
			cancel()
		}
		return nil
	}})
	if agent.CodeOf(err) != agent.Canceled || c.g.parked() != 0 || !fake.Runs()[0].IsClosed() {
		t.Errorf("%v, %d parked", err, c.g.parked())
	}
}

// lingering is a Fake whose runs take a second to leave Next after they were closed.
type lingering struct {
	*backendtest.Fake
	inNext *atomic.Int32
}

func (b lingering) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	r, err := b.Fake.Start(ctx, req)
	return &lingeringRun{r, b.inNext}, err
}

type lingeringRun struct {
	agent.Run
	inNext *atomic.Int32
}

func (r *lingeringRun) Next(ctx context.Context) (agent.Event, error) {
	r.inNext.Add(1)
	defer r.inNext.Add(-1)
	e, err := r.Run.Next(ctx)
	time.Sleep(time.Second)
	return e, err
}

// unreachable is a Sink whose client is gone before it is told that its run is on.
type unreachable struct{ recorder }

func (*unreachable) Accept(agent.Accepted) error { return errors.New("broken pipe") }

func TestARunWhoseClientCannotBeToldIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) { return nil, nil })
		inNext := new(atomic.Int32)
		c := newChat(t, newGateway(t, lingering{silent, inNext})).user("hi")
		err := c.g.Turn(t.Context(), c.request(), &unreachable{})
		if agent.CodeOf(err) != agent.Canceled || !silent.Runs()[0].IsClosed() || inNext.Load() != 0 {
			t.Errorf("%v, closed %v, %d still in Next", err, silent.Runs()[0].IsClosed(), inNext.Load())
		}
	})
}
