package retry

import (
	"context"
	"hash/fnv"
	"log/slog"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/cursorerr"
)

// Attempts counts the attempts of one turn and decides whether another may follow. A run that waits between its turns calls
// NextTurn. It is for one goroutine at a time.
//
//	what counts         up to                              set back by
//	retries             Retries, or AfterTimeout           NextTurn
//	resumes             Resumes                            NextTurn
//	sinceCheckpoint     ResumesWithoutCheckpoint           NextTurn, Checkpoint
//	token               one exchange of the key            NextTurn
//	unsettled           only for the log                   Accepted
type Attempts struct {
	// Told, when not nil, is told of each further attempt. It is set before the first.
	Told agent.Watcher

	// policy has the numbers of the table above.
	policy policy
	// random spreads the pauses of many clients; tests have one that they know.
	random func() float64
	log    *slog.Logger
	id     string // of the request, for the log
	// deadline is until when a start may take; a pause has to end before it, or there is no further attempt. Zero is none.
	deadline time.Time

	retries         int  // before there was output
	resumes         int  // after it
	sinceCheckpoint int  // resumes since the last checkpoint
	token           bool // a new access token has been asked for
	unsettled       int  // attempts allowed since the last that upstream accepted
}

// New makes Attempts that follow the default policy. random returns numbers in [0, 1) for the jitter; nil
// means that id and the retry's number decide, so that the same request waits equally long in a replay. log hears
// "retrying" before a pause and "recovered" once upstream has accepted again, each with the request's id; nil discards
// that. With retried, the retries before any output are used up already.
func New(random func() float64, log *slog.Logger, id string, retried bool) Attempts {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := Attempts{policy: defaultPolicy(), random: random, log: log, id: id}
	if retried {
		a.retries = a.policy.Retries
	}
	return a
}

// Begin records that upstream is asked to start now, and how long that may take, pauses for Retry-After
// included.
func (a *Attempts) Begin(timeout time.Duration) { a.deadline = time.Now().Add(timeout) }

// NextTurn records that a turn of a run that has waited for its client begins. The client has asked again, so what broke before does
// not count: a run that lives for hours loses a connection now and then.
func (a *Attempts) NextTurn() {
	a.retries, a.resumes, a.sinceCheckpoint, a.token = 0, 0, 0, false
}

// Checkpoint records that the run has got a new checkpoint, so that resuming is worth while again.
func (a *Attempts) Checkpoint() { a.sinceCheckpoint = 0 }

// Accepted records that upstream has accepted an attempt.
func (a *Attempts) Accepted() {
	if a.unsettled > 0 {
		a.log.Info("recovered", "id", a.id, "attempts", a.unsettled)
		a.unsettled = 0
	}
}

// Next decides what to do after f. When err is nil, another attempt may be made after pause, and has been
// counted. Otherwise none may, and err is the error to end with; it is Final when attempts were made and
// are used up.
//
// resumes says that there was output, so that another attempt would resume from a checkpoint.
//
// The caller waits for pause itself (Wait), because only it knows which contexts end the waiting.
func (a *Attempts) Next(f *cursorerr.Failure, resumes bool) (pause time.Duration, err *agent.Error) {
	if pause, err = a.decide(f, resumes); err == nil {
		a.unsettled++
		if a.Told != nil {
			a.Told.Retrying()
		}
		a.log.Info("retrying", "id", a.id, "pause", pause, "resumes", resumes, "code", f.Err.Code.String())
	}
	return pause, err
}

// decide is Next without the log. The order matters: a bad token is looked at first, because a
// new one may be all that is needed; then whether attempts are left; then how long to wait.
func (a *Attempts) decide(f *cursorerr.Failure, resumes bool) (pause time.Duration, err *agent.Error) {
	if f.BadToken && !a.token {
		a.token = true
		return 0, nil
	}
	count := &a.retries
	// After a time-out of our own the client has waited long already.
	usedUp := a.retries >= a.policy.Retries || f.OwnTimeout && a.retries >= a.policy.AfterTimeout
	if resumes {
		count = &a.resumes
		usedUp = a.resumes >= a.policy.Resumes || a.sinceCheckpoint >= a.policy.ResumesWithoutCheckpoint
	}
	switch {
	case usedUp && (f.Retryable || f.OwnTimeout):
		return 0, f.Err.AsFinal()
	case !f.Retryable:
		return 0, f.Err
	}
	// Doubles with each attempt: 250 ms, 500 ms, and so on.
	pause = a.jittered(a.policy.FirstPause << *count)
	if wait := f.Err.RetryAfter; wait > 0 {
		if wait > a.policy.MaxRetryAfter || time.Now().Add(wait).After(a.deadline) {
			return 0, f.Err
		}
		pause = max(pause, wait) // never sooner than upstream has asked for
	}
	// An upstream that takes long to fail must not make the client wait for each attempt. A time-out of ours takes all of the time
	// by itself; what may follow it is decided above.
	if late := !a.deadline.IsZero() && time.Now().Add(pause).After(a.deadline); late && !f.OwnTimeout {
		if *count == 0 {
			return 0, f.Err
		}
		return 0, f.Err.AsFinal()
	}
	*count++
	if resumes {
		a.sinceCheckpoint++
	}
	return pause, nil
}

// jittered returns pause, made shorter or longer at random, so that clients spread out.
func (a *Attempts) jittered(pause time.Duration) time.Duration {
	random := a.random
	if random == nil {
		random = a.spread
	}
	return time.Duration(float64(pause) * (1 - a.policy.Jitter + 2*a.policy.Jitter*random()))
}

// spread is a number in [0, 1) that differs from request to request, and from one retry of it to the next.
func (a *Attempts) spread() float64 {
	h := fnv.New64a()
	h.Write([]byte(a.id))
	h.Write([]byte{byte(a.retries), byte(a.resumes)})
	x := h.Sum64() // FNV leaves its highest bits alike for texts that differ at their end
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// Wait waits for pause. It reports false when one of the contexts ended before. ctx is the caller's, life
// that of the run.
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
