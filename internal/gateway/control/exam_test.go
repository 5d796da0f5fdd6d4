package control_test

import (
	"context"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/demo"
	"composer-api/internal/gateway/control"
	"composer-api/internal/sim/script"
)

// controlled is a backend behind the layer, as the gateway uses it.
type controlled struct {
	agent.Backend
	layer *control.Layer
}

func (b controlled) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	turn, err := b.layer.Turn(req, control.Account{})
	if err != nil {
		return nil, err
	}
	run, err := b.layer.Start(ctx, turn, b.Backend, req)
	if err != nil {
		return nil, err
	}
	return &controlledRun{run, b.layer, req}, nil
}

func (b controlled) Restore(data []byte) (agent.Conversation, error) {
	return b.Backend.(agent.Restorer).Restore(data)
}

type controlledRun struct {
	*control.Run
	layer *control.Layer
	req   *agent.Request
}

func (r *controlledRun) Resume(ctx context.Context, results []agent.ToolResult) error {
	turn, err := r.layer.Turn(r.req, control.Account{})
	if err != nil {
		return err
	}
	r.Begin(turn, r.req)
	return r.Run.Resume(ctx, results)
}

// A run behind the layer is a run like any other.
func TestExam(t *testing.T) {
	backendtest.Exam(t, backendtest.Features{}, func(t *testing.T, s *script.Script) agent.Backend {
		return controlled{demo.New(s), control.New(control.Config{})}
	})
}
