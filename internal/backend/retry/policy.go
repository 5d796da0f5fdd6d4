package retry

import "time"

// A policy is the numbers that say how often, and how soon, upstream is asked again. It is set
// once, in defaultPolicy; no setting of the operator's changes it.
type policy struct {
	// Retries is how many attempts may follow the first, before there was any output.
	Retries int
	// AfterTimeout is how many of Retries may follow a time-out of our own: the client has waited as
	// long as we have.
	AfterTimeout int
	// Resumes is how many times a run may resume from a checkpoint, once there was output.
	Resumes int
	// ResumesWithoutCheckpoint is how many of Resumes may follow each other without a new checkpoint
	// in between.
	ResumesWithoutCheckpoint int
	// FirstPause is the pause before the first retry. It doubles each time.
	FirstPause time.Duration
	// Jitter is the part by which a pause is made shorter or longer at random, so that the clients of an upstream that
	// was down don't all come back at the same moment.
	Jitter float64
	// MaxRetryAfter is the longest Retry-After of upstream that we wait for. A longer one is passed on
	// to the client, which can show it to its user.
	MaxRetryAfter time.Duration
}

// defaultPolicy is the policy of all backends. Cursor's own SDK waits longer (three retries after errors of
// the server, ten after errors of the connection, pauses from 1 s to 60 s); source: the protocol's
// description of ends. decisions/0014 says why ours is shorter.
func defaultPolicy() policy {
	return policy{
		Retries:                  2,
		AfterTimeout:             1,
		Resumes:                  3,
		ResumesWithoutCheckpoint: 2,
		FirstPause:               250 * time.Millisecond,
		Jitter:                   0.2,
		MaxRetryAfter:            5 * time.Second,
	}
}
