package gateway

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// A client whose session is pinned may go on by way of another replica, for instance because a load balancer has moved it.
// Nobody there knows of the run that waits for results here, and the client never comes back for it. The session's row tells: each
// turn moves its expiry on, so an expiry that is later than what this process has written is another's.
//
// orphans are the sessions of runs that wait here, and what this process has written. It is safe for concurrent use.
//
//	pin ─► touched ─► the turn parks a run ─► wait ─► check every orphanCheck ─► the row is another's: the run is closed
//	                                                    └─ nothing of the session waits any more: forgotten
type orphans struct {
	// mu guards the rest.
	mu      sync.Mutex
	waiting map[store.SessionKey]touch // those that are looked after
	timer   *time.Timer                // runs check; nil when nothing waits
	// closed refuses new sessions and checks.
	closed bool
	checks sync.WaitGroup // those in progress; added to under mu, and not once closed
}

// A touch is a session as this process has used it last.
type touch struct {
	owner   string // whose runs wait in it
	expires time.Time
}

// orphanCheck is how often the sessions of parked runs are looked at: often enough for a run that would wait ten minutes.
const orphanCheck = 30 * time.Second

// touched notes that this process uses the session now, before the store is told.
func (o *orphans) touched(s *store.Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t, ok := o.waiting[s.Key]; ok && s.Expires.After(t.expires) {
		t.expires = s.Expires
		o.waiting[s.Key] = t
	}
}

// wait looks after a session from now on, in which a run is being parked.
func (g *Gateway) wait(owner string, s *store.Session) {
	o := &g.orphans
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	if o.waiting == nil {
		o.waiting = map[store.SessionKey]touch{}
	}
	// Two runs of one session may park at the same time; the later end counts.
	if t := o.waiting[s.Key]; s.Expires.After(t.expires) {
		o.waiting[s.Key] = touch{owner, s.Expires}
	}
	if o.timer == nil {
		o.timer = time.AfterFunc(orphanCheck, g.closeOrphans)
	}
}

// close lets no check begin any more.
func (o *orphans) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed = true; o.timer != nil {
		o.timer.Stop()
	}
}

// begin reports whether a check may begin. The caller owes a checks.Done then.
func (o *orphans) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.checks.Add(1)
	}
	return !o.closed
}

// closeOrphans closes the runs whose session has gone on elsewhere, and comes back later while any wait. A store that is away
// ends the check: the runs end by their time-out at the latest.
func (g *Gateway) closeOrphans() {
	o := &g.orphans
	if !o.begin() {
		return
	}
	defer o.checks.Done()
	// Registered before the check begins, so that a panic doesn't end the checks for ever.
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.timer = nil; len(o.waiting) > 0 && !o.closed {
			o.timer = time.AfterFunc(orphanCheck, g.closeOrphans)
		}
	}()
	defer agent.CatchPanic(func(err *agent.Error) { g.cfg.Log.Error("looking for orphaned runs panicked", "err", err) })
	for key, seen := range o.all() {
		// The run was claimed, or its time is over.
		if !g.lot.Waits(seen.owner, sessionName(key)) {
			o.forget(key)
			continue
		}
		row, err := g.session(key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			// Too old, or deleted. Nobody has gone on with it.
		case err != nil:
			if g.ctx.Err() == nil {
				g.cfg.Log.Warn("sessions of parked runs could not be looked at", "err", err)
			}
			return
		// Every use moves the row's end on. So an end that is later than ours means that another
		// process has used the session.
		case row.Expires.After(o.last(key)):
			g.lot.SupersedeSession(seen.owner, sessionName(key))
			o.forget(key)
		}
	}
}

// session reads the row of a session.
func (g *Gateway) session(key store.SessionKey) (store.Session, error) {
	ctx, cancel := context.WithTimeout(g.ctx, storeTimeout)
	defer cancel()
	return g.cfg.Sessions.Session(ctx, key)
}

// all is a copy of what is looked after.
func (o *orphans) all() map[store.SessionKey]touch {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.waiting)
}

// last is when the session expires by what this process has written. It is asked after the row was read, because a turn may have
// used the session meanwhile.
func (o *orphans) last(key store.SessionKey) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting[key].expires
}

// forget ends the care for a session.
func (o *orphans) forget(key store.SessionKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.waiting, key)
}

// sessionName is what the runs of a pinned session are called in the lot.
func sessionName(key store.SessionKey) string { return string(key.Owner[:]) + string(key.Session[:]) }
