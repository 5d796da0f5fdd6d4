package watch

import (
	"context"
	"time"

	"composer-api/internal/agent"
)

// All is several Observers as one, which tells each of them in its order.
type All []Observer

// TurnBegan implements Observer. Each gets the context of the one before.
func (all All) TurnBegan(ctx context.Context, o *agent.Origin) context.Context {
	for _, observer := range all {
		ctx = observer.TurnBegan(ctx, o)
	}
	return ctx
}

// Gap implements Observer.
func (all All) Gap(d time.Duration) {
	for _, o := range all {
		o.Gap(d)
	}
}

// Retrying implements Observer.
func (all All) Retrying(ctx context.Context) {
	for _, o := range all {
		o.Retrying(ctx)
	}
}

// Repairing implements Observer.
func (all All) Repairing(ctx context.Context, why agent.Repair) {
	for _, o := range all {
		o.Repairing(ctx, why)
	}
}

// TurnEnded implements Observer.
func (all All) TurnEnded(ctx context.Context, t *Turn) {
	for _, o := range all {
		o.TurnEnded(ctx, t)
	}
}
