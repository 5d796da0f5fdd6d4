package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"composer-api/internal/agent"
)

// A Failure is a turn that has failed, with nothing of what was said.
type Failure struct {
	Ended time.Time
	Took  time.Duration
	// RequestID is the one that the client was told, by which the log has more.
	RequestID string
	Endpoint  string // "POST /v1/responses"
	Upstream  string // that had accepted the turn; "" when none had
	Model     string // as upstream was asked for it; "" when it wasn't
	Code      agent.Code
}

// Recent is an Observer that remembers the newest turns that have failed. A turn whose client has left has not failed. It is
// safe for concurrent use.
//
// mu guards failures, which is never longer than most. It is held for the copy of a few rows.
type Recent struct {
	Ends
	// most is how many are remembered; the oldest goes first.
	most int

	mu       sync.Mutex
	failures []Failure // oldest first
}

// NewRecent remembers up to most failures.
func NewRecent(most int) *Recent { return &Recent{most: most} }

// TurnEnded implements Observer.
func (r *Recent) TurnEnded(_ context.Context, t *Turn) {
	// What a client has broken off by itself is no failure of ours.
	if t.Err != nil && agent.CodeOf(t.Err) != agent.Canceled {
		r.add(t)
	}
}

// add copies what is kept of t, which is its caller's.
func (r *Recent) add(t *Turn) {
	f := Failure{
		Ended: t.Ended, Took: t.Ended.Sub(t.Begun), RequestID: t.Origin.RequestID, Endpoint: t.Origin.Endpoint, Upstream: t.Accepted.Upstream,
		Code: agent.CodeOf(t.Err),
	}
	// Before that nobody has chosen a model.
	if !t.Connected.IsZero() {
		f.Model = t.Accepted.Model.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// A copy of a few dozen rows at each failure, which is rare.
	if len(r.failures) == r.most {
		r.failures = slices.Delete(r.failures, 0, 1)
	}
	r.failures = append(r.failures, f)
}

// Failures are the failures that are remembered, newest first. The slice is the caller's.
func (r *Recent) Failures() []Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.failures)
	slices.Reverse(all)
	return all
}
