package gateway

import (
	"context"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
)

// An endless is a backend whose runs say n words and end.
type endless struct{ n int }

func (*endless) Name() string { return "endless" }

func (b *endless) Start(context.Context, *agent.Request) (agent.Run, error) {
	return &words{left: b.n, text: []byte("word ")}, nil
}

type words struct {
	left int
	text []byte
	done agent.Done
}

func (w *words) Next(context.Context) (agent.Event, error) {
	if w.left--; w.left >= 0 {
		return agent.Event{Kind: agent.Text, Text: w.text}, nil
	}
	w.done = agent.Done{Reason: agent.Stop}
	return agent.Event{Kind: agent.DoneKind, Done: &w.done}, nil
}

func (w *words) Buffered() bool                                 { return w.left > 0 }
func (*words) Resume(context.Context, []agent.ToolResult) error { return nil }
func (*words) Close() error                                     { return nil }

// BenchmarkEvent is what one streamed event costs on its way through the gateway.
func BenchmarkEvent(b *testing.B) {
	const perTurn = 1 << 20 // an answer may not be endless
	backend := &endless{}
	g := New(Config{Backends: []agent.Backend{backend}})
	defer g.Close(context.Background())
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= backend.n {
		backend.n = min(left, perTurn)
		req := &agent.Request{
			Caller: agent.Caller{Owner: "bench"}, ModelName: "composer-2.5",
			Messages: []agent.Message{{Role: agent.User, Parts: []agent.Part{{Text: "hello"}}}},
		}
		if err := g.Turn(context.Background(), req, agenttest.Discard{}); err != nil {
			b.Fatal(err)
		}
	}
}
