package replica

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// Who lives: each replica has a row with a lease by the database's clock, which it renews. When it dies, the lease ends by
// itself, and the database names it no more as the holder of a run.

const (
	// leaseTime is how long after its last sign of life a replica counts as alive. It is five times leaseTick, so a database
	// that is busy costs nothing.
	leaseTime = 10 * time.Second
	// leaseTick is how often the lease is renewed.
	leaseTick = 2 * time.Second
	// endTime bounds each part of the farewell.
	endTime = time.Second
)

// A lease says that this process lives, from begin to end. It has one goroutine.
type lease struct {
	// store and log are those of Config; id is new at each start.
	store   store.Replicas
	log     *slog.Logger
	id      string // of this process
	address string // where it takes new turns, until it is closing

	renewed atomic.Int64 // when that was done last, in milliseconds since 1970; 0 is never
	closing atomic.Bool  // it takes no new turns any more
	once    sync.Once    // begin
	stop    chan struct{}
	work    sync.WaitGroup
}

func newLease(s store.Replicas, address string, log *slog.Logger) *lease {
	return &lease{store: s, log: log, id: agent.NewID("replica_", 16), address: address, stop: make(chan struct{})}
}

// held reports whether others know that this replica lives, as far as it can say.
func (l *lease) held() bool { return time.Since(time.UnixMilli(l.renewed.Load())) < leaseTime }

// renew says that this replica lives.
func (l *lease) renew(ctx context.Context) (err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	for {
		now := time.Now() // before the call, because the lease may begin at any time during it
		r := store.Replica{ID: l.id}
		closing := l.closing.Load()
		if !closing {
			r.Address = l.address
		}
		if err = l.store.RenewReplica(ctx, r, leaseTime); err != nil {
			return err
		}
		l.renewed.Store(now.UnixMilli())
		if closing == l.closing.Load() {
			return nil
		}
		// What was written may be older than what close has written meanwhile, and may have come after it.
	}
}

// close says that this replica takes no new turns any more. It waits endTime at most: those that don't know will find out.
func (l *lease) close(ctx context.Context) {
	l.closing.Store(true)
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	if err := l.renew(ctx); err != nil {
		l.log.Debug("other replicas can't know yet that this one takes no new turns", "err", err)
	}
}

// begin renews the lease until end.
func (l *lease) begin() { l.once.Do(func() { l.work.Go(l.keep) }) }

// keep is the goroutine.
func (l *lease) keep() {
	tick := time.NewTicker(leaseTick)
	defer tick.Stop()
	known := true // so that an outage is told once
	for {
		ctx, cancel := context.WithTimeout(context.Background(), lookTime)
		err := l.renew(ctx)
		cancel()
		if err != nil && known {
			l.log.Warn("other replicas can't know that this one lives", "err", err)
		}
		known = err == nil
		select {
		case <-tick.C:
		case <-l.stop:
			return
		}
	}
}

// end ends the lease. It is called once, also when it never began.
func (l *lease) end(ctx context.Context) {
	close(l.stop)
	l.work.Wait()
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	if err := l.store.EndReplica(ctx, l.id); err != nil {
		l.log.Debug("other replicas will find out by themselves that this one has ended", "err", err)
	}
}

// lost are addresses that could not be reached just now: each costs the time of a connection that the network swallows, and
// the lease takes longer to tell. The zero value is ready. It is safe for concurrent use.
type lost struct {
	mu sync.Mutex
	// until is when each is tried again. It has no more addresses than there are replicas.
	until map[string]time.Time
}

// lostTime is how long an address is left alone.
const lostTime = 2 * time.Second

// add notes that an address can't be reached. It forgets those whose time is over, so there are never more than there are
// replicas.
func (l *lost) add(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for a, until := range l.until {
		if time.Now().After(until) {
			delete(l.until, a)
		}
	}
	if l.until == nil {
		l.until = map[string]time.Time{}
	}
	l.until[address] = time.Now().Add(lostTime)
}

// is reports whether an address is to be left alone.
func (l *lost) is(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until[address])
}
