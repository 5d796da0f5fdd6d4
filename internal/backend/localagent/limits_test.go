package localagent

import (
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/cursor/agentwire"
)

// A machine that has slept for an hour sends one heartbeat, not all that it has missed.
func TestMissedHeartbeatsAreNotMadeUpFor(t *testing.T) {
	due := time.Unix(1000, 0)
	const every = 5 * time.Second
	for late, want := range map[time.Duration]time.Time{
		0: due.Add(every), time.Second: due.Add(every), // in step with the one before
		every: due.Add(2 * every), time.Hour: due.Add(time.Hour + every),
	} {
		if next := nextBeat(due, due.Add(late), every); !next.Equal(want) {
			t.Errorf("late by %v: the next is at %v, want %v", late, next, want)
		}
	}
}

// Runs begin at any time, and their heartbeats fall into step, so that many go out in one write. None comes late for that.
func TestHeartbeatsOfAllRunsAreDueTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOfflineRun(t)
		began := r.backend.pacer.began
		for range 5 {
			time.Sleep(1300 * time.Millisecond)
			r.clock.begin()
			due := r.clock.nextBeat
			for range 3 {
				r.mu.Lock()
				next := r.beat(due)
				r.mu.Unlock()
				if early := due.Add(agentwire.HeartbeatEvery).Sub(next); early < 0 || early >= beatsTogether || next.Sub(began)%beatsTogether != 0 {
					t.Errorf("after %v the next is due after %v", due.Sub(began), next.Sub(began))
				}
				due = next
			}
		}
	})
}

// While upstream waits for a tool of the client it may say nothing for as long as the tool takes.
func TestUpstreamMayBeSilentWhileACallIsOpen(t *testing.T) {
	r := newOfflineRun(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	r.clock.accepted.Store(r.clock.now())
	r.clock.wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, why := r.limit(); why != nil {
		t.Errorf("limited with an open call: %v", why)
	}
	r.execs.drop(r.execs.byID(7))
	if _, why := r.limit(); why == nil {
		t.Error("no limit although no call is open")
	}
}

// A limit that falls between two waits, because a heartbeat has come in that very moment, counts all the same. The next look
// would be at the next heartbeat of ours.
func TestALimitBetweenTwoWaitsIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOfflineRun(t)
		r.clock.accepted.Store(r.clock.now())
		r.clock.wait()
		time.Sleep(r.backend.cfg.ProgressTimeout)
		r.clock.waited()
		r.mu.Lock()
		defer r.mu.Unlock()
		if due, why := r.limit(); why == nil || due.After(time.Now()) {
			t.Errorf("limited at %v: %v", due, why)
		}
		r.clock.progress()
		if due, why := r.limit(); why == nil || !due.Equal(time.Now().Add(r.backend.cfg.StallTimeout)) {
			t.Errorf("after progress: limited at %v: %v", due, why)
		}
	})
}
