package retry

import (
	"context"
	"math/rand/v2"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/cursorerr"
)

// Attempts counts the attempts of one turn or run and decides whether another may follow. It is for one goroutine at a
// time.
type Attempts struct {
	policy   policy
	random   func() float64
	deadline time.Time // until when a start may take; a wait for Retry-After has to fit

	retries         int  // before there was output
	resumes         int  // after it
	sinceCheckpoint int  // resumes since the last checkpoint
	token           bool // a new access token has been asked for
}

// New makes Attempts that follow the default policy. random gives numbers from 0 to 1 for the jitter; nil means
// math/rand's.
func New(random func() float64) Attempts {
	if random == nil {
		random = rand.Float64
	}
	return Attempts{policy: defaultPolicy(), random: random}
}

// Begin notes that upstream is asked to start now, and that it has so long for it, the pauses for Retry-After included.
func (a *Attempts) Begin(timeout time.Duration) { a.deadline = time.Now().Add(timeout) }

// Checkpoint notes that the run has got a new checkpoint.
func (a *Attempts) Checkpoint() { a.sinceCheckpoint = 0 }

// Next decides what follows f. When err is nil, another attempt may follow after pause, and has been counted. Otherwise
// nothing may, and err is what to end with; it is Final when attempts were made and are used up.
//
// resumes says that there was output, so that another attempt would resume from a checkpoint.
func (a *Attempts) Next(f *cursorerr.Failure, resumes bool) (pause time.Duration, err *agent.Error) {
	if f.BadToken && !a.token {
		a.token = true
		return 0, nil
	}
	count := &a.retries
	usedUp := a.retries >= a.policy.Retries || f.OwnTimeout && a.retries >= a.policy.AfterTimeout
	if resumes {
		count = &a.resumes
		usedUp = a.resumes >= a.policy.Resumes || a.sinceCheckpoint >= a.policy.ResumesWithoutCheckpoint
	}
	switch {
	case usedUp && (f.Retryable || f.OwnTimeout):
		final := *f.Err
		final.Final = true
		return 0, &final
	case !f.Retryable:
		return 0, f.Err
	}
	pause = a.jittered(a.policy.FirstPause << *count)
	if wait := f.Err.RetryAfter; wait > 0 {
		if wait > a.policy.MaxRetryAfter || time.Now().Add(wait).After(a.deadline) {
			return 0, f.Err
		}
		pause = max(pause, wait) // never sooner than upstream has asked for
	}
	*count++
	if resumes {
		a.sinceCheckpoint++
	}
	return pause, nil
}

// jittered is pause, made shorter or longer at random.
func (a *Attempts) jittered(pause time.Duration) time.Duration {
	return time.Duration(float64(pause) * (1 - a.policy.Jitter + 2*a.policy.Jitter*a.random()))
}

// Wait waits for pause. It reports false when one of the contexts has ended instead.
func Wait(pause time.Duration, ctx, life context.Context) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-life.Done():
	}
	return false
}
