package replay

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"composer-api/internal/agent"
)

// A Retry is a failure that another attempt may mend.
type Retry struct {
	Err *agent.Error // what the client is told when it can't
	// AtOnce asks for one more attempt without waiting: a token that had ended was dropped.
	AtOnce bool
}

// Error implements error.
func (r *Retry) Error() string { return r.Err.Error() }

// Unwrap gives Err.
func (r *Retry) Unwrap() error { return r.Err }

// The policy is short, because clients try again, too.
const (
	maxWaits  = 2
	firstWait = 250 * time.Millisecond // doubled each time
	jitter    = 0.2                    // of each wait, up or down
)

// attempts counts the attempts of one turn.
type attempts struct {
	waits  int
	atOnce bool
}

// again reports whether err calls for another attempt, and waits until it is time for it.
func (a *attempts) again(ctx, life context.Context, err error) bool {
	var retry *Retry
	switch {
	case !errors.As(err, &retry):
		return false
	case retry.AtOnce:
		first := !a.atOnce
		a.atOnce = true
		return first
	case a.waits == maxWaits || retry.Err.RetryAfter > 0:
		return false // upstream has said how long; the client can wait better than we
	}
	wait := time.NewTimer(time.Duration(float64(firstWait<<a.waits) * (1 - jitter + 2*jitter*rand.Float64())))
	defer wait.Stop()
	a.waits++
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
	case <-life.Done():
	}
	return false
}
