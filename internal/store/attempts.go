package store

import (
	"context"
	"time"
)

// Attempts: how often somebody has tried something that may be tried only so often. They are counted here, so that all
// replicas agree.

// An Attempt is one try. Who and what are hashed together, so that no address of a person is kept.
type Attempt struct {
	Who [32]byte // see package hosted
	// At is by the clock of the process that counts.
	At     time.Time
	Window time.Duration // how long it counts
	Most   int           // how many count at once, this one included; at least 1
}

// Attempts counts attempts. A row for each Who is kept until the last attempt has left its window.
type Attempts interface {
	// CountAttempt counts a, unless Most attempts of a.Who are within the window before a.At already: then it counts
	// nothing and returns when the oldest of them leaves the window. The zero time means that it was counted. Calls for one
	// Who come one after the other, on all replicas.
	CountAttempt(ctx context.Context, a Attempt) (again time.Time, err error)
}
