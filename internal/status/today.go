package status

import (
	"context"
	"sync"
	"time"

	"composer-api/internal/watch"
)

// Today counts the turns of this day. It is a watch.Observer. Its methods may be called concurrently.
//
// The day is that of the server's clock and time zone. Nothing is kept of the days before, and nothing over a restart.
type Today struct {
	watch.Ends
	// mu guards tally.
	mu    sync.Mutex
	tally Tally
}

// NewToday begins to count now.
func NewToday() *Today { return &Today{tally: Tally{From: time.Now()}} }

// TurnEnded implements watch.Observer.
func (t *Today) TurnEnded(_ context.Context, ended *watch.Turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turnOver(time.Now())
	t.tally.add(&ended.Usage, ended.Err != nil)
}

// Tally is what today's turns come to so far.
func (t *Today) Tally() Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turnOver(time.Now())
	return t.tally
}

// turnOver begins a new tally when the day is over. mu is held.
func (t *Today) turnOver(now time.Time) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	if t.tally.From.Before(midnight) {
		t.tally = Tally{From: midnight}
	}
}
