// Package agenttest has the smallest implementations of package agent's interfaces, for tests.
package agenttest

import (
	"context"

	"composer-api/internal/agent"
)

// A TurnerFunc is an agent.Turner made of a function.
type TurnerFunc func(ctx context.Context, req *agent.Request, sink agent.Sink) error

// Turn implements agent.Turner.
func (f TurnerFunc) Turn(ctx context.Context, req *agent.Request, sink agent.Sink) error {
	return f(ctx, req, sink)
}

// Discard is an agent.Sink that takes everything and keeps nothing. It allocates nothing.
type Discard struct{}

// Accept implements agent.Sink.
func (Discard) Accept(agent.Accepted) error { return nil }

// Event implements agent.Sink.
func (Discard) Event(*agent.Event) error { return nil }

// Flush implements agent.Sink.
func (Discard) Flush() error { return nil }
