package watch

import (
	"context"
	"time"
)

// All is several Observers as one, which tells each of them in its order.
type All []Observer

// TurnBegan implements Observer.
func (all All) TurnBegan() {
	for _, o := range all {
		o.TurnBegan()
	}
}

// Gap implements Observer.
func (all All) Gap(d time.Duration) {
	for _, o := range all {
		o.Gap(d)
	}
}

// Retrying implements Observer.
func (all All) Retrying() {
	for _, o := range all {
		o.Retrying()
	}
}

// TurnEnded implements Observer.
func (all All) TurnEnded(ctx context.Context, t *Turn) {
	for _, o := range all {
		o.TurnEnded(ctx, t)
	}
}
