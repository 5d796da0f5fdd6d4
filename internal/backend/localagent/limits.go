package localagent

import (
	"sync"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/agentwire"
)

// The time limits of a stream, and the heartbeats that keep it open. Nothing here waits: the
// pacer calls ring for each run every few seconds, and what is due then is done.
//
//	to upstream     every agentwire.HeartbeatEvery; for each open exec, ExecHeartbeatEvery
//	from upstream   StallTimeout without a byte, ProgressTimeout without anything but heartbeats

// maxUnsent is how many bytes may wait for the transport before heartbeats are left out: upstream isn't reading
// then, and more heartbeats would not help.
const maxUnsent = 64 << 10

// A clock measures how long upstream has kept us waiting. Time in which nobody reads, because the client is slow
// or runs its tools, doesn't count.
//
// It is written by whoever has the reading role and read by the pacer. What a word changes is atomic and under no lock,
// because taking one for each word would be noticeable. A wait is not for each word.
//
// Times are nanoseconds after start, beginning at 1; 0 is none.
//
//	field      set by                                 meaning
//	since      wait, waited                           somebody waits for upstream now
//	idle       waited adds; progress, restart clear   waiting without progress so far
//	accepted   install; cleared by retry              what AcceptedAt tells
//	ended      update; cleared by modelContinues      the answer may be whole
type clock struct {
	// start has a monotonic clock, so the machine's time may be set meanwhile.
	start    time.Time
	nextBeat time.Time // guarded by run.mu

	mu    sync.Mutex // is taken last. A wait that ends moves from since to idle: under mu it is in one of them
	since int64      // when the current wait began, after start; 0: nobody waits

	idle     atomic.Int64 // waited since the last progress, in waits that are over
	accepted atomic.Int64 // when upstream accepted the current attempt; 0: there is none
	ended    atomic.Bool  // upstream has reported the end of a turn, and the model has done nothing since
}

// begin starts the clock. It is called once, before the run is shared.
func (c *clock) begin() {
	c.start = time.Now()
	c.nextBeat = c.start.Add(agentwire.HeartbeatEvery)
}

// now is the time in nanoseconds after start, and one nanosecond more, so that it is never 0.
func (c *clock) now() int64 { return int64(time.Since(c.start)) + 1 }

// wait records that somebody waits for upstream from now on.
func (c *clock) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = c.now()
}

// waited records that the wait is over, if there was one.
func (c *clock) waited() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since != 0 {
		c.idle.Add(c.now() - c.since)
		c.since = 0
	}
}

// waiting is since when somebody waits, and how long all waits together without progress were before. Between two waits it
// is as if the next began now: a limit that falls between them is not missed.
func (c *clock) waiting() (since, idle int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == 0 {
		return c.now(), c.idle.Load()
	}
	return c.since, c.idle.Load()
}

// progress records that upstream has sent anything but a heartbeat.
func (c *clock) progress() { c.idle.Store(0) }

// restart forgets the waiting so far: a new attempt, or a turn that continues with results, has all of its time
// again.
func (c *clock) restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle.Store(0)
	if c.since != 0 {
		c.since = c.now()
	}
}

// modelContinues records that the model did something: if a turn has ended before, it was a sub-agent's. It
// writes only when there is something to change, because it is called for each word.
func (c *clock) modelContinues() {
	if c.ended.Load() {
		c.ended.Store(false)
	}
}

// at is t as a time.
func (c *clock) at(t int64) time.Time { return c.start.Add(time.Duration(t - 1)) }

// ring is the run's alarm: it sends the heartbeats that are due and ends a stream that takes too long. It
// returns when it is to be called again. The pacer calls it, one run after the other, so it must not
// wait for anything but mu, and a panic must end this run alone.
//
// After stopFor it may ring once more: remove doesn't wait. It does no harm then, because the
// outbox of a stream that is over takes nothing.
func (r *run) ring(now time.Time) (next time.Time) {
	defer agent.CatchPanic(func(err *agent.Error) {
		r.panicked(err)
		next = now.Add(agentwire.HeartbeatEvery)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	next = r.beat(now)
	due, why := r.limit()
	if why != nil && !due.After(now) {
		r.closeInBackground(r.stream, why)
		return next
	}
	if why != nil && due.Before(next) {
		return due
	}
	return next
}

// beat sends the heartbeats that are due and returns when the next is. All that are due go out as one write. mu is held.
//
// The second heartbeat of its kind comes up to beatsTogether early, so that the later ones go out with those of other runs.
//
// Bytes that are still in the outbox say that upstream isn't reading; see maxUnsent.
func (r *run) beat(now time.Time) time.Time {
	var due []byte
	align := r.backend.pacer.align
	if !r.clock.nextBeat.After(now) {
		r.clock.nextBeat = align(nextBeat(r.clock.nextBeat, now, agentwire.HeartbeatEvery))
		due = agentwire.ClientHeartbeat()
	}
	next := r.clock.nextBeat
	for _, x := range r.execs.open {
		if !x.nextBeat.After(now) {
			x.nextBeat = align(nextBeat(x.nextBeat, now, agentwire.ExecHeartbeatEvery))
			// The capacity is cut, because ClientHeartbeat's bytes are shared by all runs.
			due = append(due[:len(due):len(due)], agentwire.ExecHeartbeat(x.id)...)
		}
		if x.nextBeat.Before(next) {
			next = x.nextBeat
		}
	}
	if len(due) > 0 && r.stream.out.waiting() < maxUnsent {
		r.stream.out.putLater(due)
	}
	return next
}

// nextBeat is when a heartbeat is due after one that was due at due. Heartbeats that were missed, while the
// machine slept, are not made up for.
func nextBeat(due, now time.Time, every time.Duration) time.Time {
	if due = due.Add(every); due.After(now) {
		return due
	}
	return now.Add(every)
}

// limit is when the stream exceeds a time limit if nothing comes and the client reads on, and the error for that; nil when
// there is no stream, or upstream waits for a tool of the client. There are two limits, and the earlier counts:
// StallTimeout without any byte in this wait, and ProgressTimeout of waiting without progress:
//
//	wait ├──heartbeat──heartbeat──text──┤ client slow ├ wait ──heartbeat── …
//	stall     restarts  restarts   restarts            restarts
//	progress  goes on   goes on    restarts   stops    goes on  goes on
//
// mu is held.
//
// The result is when the limit would be exceeded, which is mostly in the future: ring compares it with now.
func (r *run) limit() (time.Time, error) {
	if r.clock.accepted.Load() == 0 || r.broken != nil || r.turnOver || len(r.execs.open) > 0 {
		return time.Time{}, nil
	}
	since, idle := r.clock.waiting()
	cfg := &r.backend.cfg
	progress := cfg.ProgressTimeout
	if r.clock.ended.Load() { // most likely the answer is complete, and only the end of the stream is missing
		progress = min(progress, cfg.StallTimeout)
	}
	stall := since + int64(cfg.StallTimeout)
	// idle counts from the last progress, so the limit lies that much earlier.
	stuck := since - idle + int64(progress)
	if stuck < stall {
		return r.clock.at(stuck), tooSlow("Cursor made no progress for %v.", progress)
	}
	return r.clock.at(stall), tooSlow("Cursor sent nothing for %v.", cfg.StallTimeout)
}
