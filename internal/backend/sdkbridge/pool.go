package sdkbridge

import (
	"context"
	"slices"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/sdkv1"
)

// A pool is the bridges of one owner, or of all, and the agents that lie in their home. Backend.mu guards it, but for the
// contents of home.
//
// Which bridge takes a run, and when one is started (find):
//
//	no bridge, none starting               start one; the run waits
//	no bridge, one starting                the run waits
//	no bridge, and starts have failed      an error, or a short wait (again, shortWait)
//	a bridge                               the least busy one takes it; and beside that:
//	  one has done its work (worn)           start another, which replaces it
//	  all are busy (busyRuns)                start another, up to MaxPerPool and MaxBridges
type pool struct {
	// owner is "" for the pool that all share.
	owner   string
	home    sdkv1.Home // nil until the first start
	workers []*worker  // those that take runs, the oldest first
	ending  int        // workers that take none any more and have not ended yet
	agents  map[string]*bridgeAgent
	dying   map[string]*bridgeAgent // agents that are being deleted: their ids must not be used yet
	doomed  []*bridgeAgent          // those of them that wait for a bridge: there was none when they were given up
	used    uint64                  // Backend.clock at the last use

	starting chan struct{} // closed when the start that is on has ended; nil when none is
	failures int           // starts that have failed, and bridges that have died soon, since one lived for long
	failed   error         // why the next start has to wait
	died     bool          // the bridge had started before
	again    time.Time     // until then
}

// poolOf is the pool of an owner. mu is held. It makes the pool if there is none; the first
// pool also begins the upkeep.
func (b *Backend) poolOf(owner string) *pool {
	if !b.cfg.PerOwner {
		// One pool for all, under the empty name, which no owner has.
		owner = ""
	}
	p := b.pools[owner]
	if p == nil {
		p = &pool{owner: owner, agents: map[string]*bridgeAgent{}, dying: map[string]*bridgeAgent{}}
		if !b.keeping && !b.closed {
			b.keeping = true
			b.work.Go(b.upkeep)
		}
		b.pools[owner] = p
	}
	b.clock++
	p.used = b.clock
	return p
}

// acquire is the bridge for another run of an owner. It waits for a start if there is none. The caller releases it.
func (b *Backend) acquire(ctx context.Context, owner string) (*worker, error) {
	return b.await(ctx, owner, (*worker).take)
}

// await finds a bridge for an owner, and waits for a start if there is none. use is told which it is while mu is held, so
// that the bridge can't end before it is counted.
//
// Many may wait for one start; each looks again when it has ended, because it may have failed,
// or others may have been faster.
func (b *Backend) await(ctx context.Context, owner string, use func(*worker)) (*worker, error) {
	for {
		w, started, err := b.find(owner, use)
		if w != nil || err != nil {
			return w, err
		}
		select {
		case <-started:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// busyRuns is how many runs that are not parked a bridge has before another one is started beside it: one thread carries
// so many fast streams without a delay that a reader would notice. Measured; see the table in docs/upstreams.md.
const busyRuns = 8

// find is await without waiting: a worker, or the channel that is closed when there may be one, or an error.
func (b *Backend) find(owner string, use func(*worker)) (*worker, <-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, agent.ErrShuttingDown
	}
	p := b.poolOf(owner)
	w := p.leastBusy()
	if w == nil {
		if p.starting == nil {
			// A bridge that has died comes back soon in most cases, and a short wait is better than
			// an error. One that can't be started will fail for the next one, too.
			if wait := time.Until(p.again); wait > shortWait || wait > 0 && !p.died {
				return nil, nil, p.failed
			} else if wait > 0 {
				return nil, after(wait), nil
			}
			if err := b.makeRoom(p); err != nil {
				return nil, nil, err
			}
			b.startFor(p, nil)
		}
		return nil, p.starting, nil
	}
	// There is a bridge, so nobody has to wait: what is started here is for those who come next.
	if p.starting == nil && !time.Now().Before(p.again) {
		if worn := b.worn(p); worn != nil {
			b.startFor(p, worn)
		} else if w.busy() >= busyRuns && len(p.workers) < b.cfg.MaxPerPool && b.running() < b.cfg.MaxBridges {
			b.startFor(p, nil)
		}
	}
	use(w)
	return w, nil, nil
}

// shortWait is how long a run waits for a bridge to be started that has died before. (One that can't be started at all is no
// sooner there for waiting.)
const shortWait = 5 * time.Second

// after is closed after d.
func after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

// leastBusy is the worker with the fewest runs that are not parked, and one that has missed a
// sign of life only if there is no other; nil when there is none. mu is held. Parked runs don't
// count: they wait for their clients and cost no time.
func (p *pool) leastBusy() *worker {
	var best *worker
	for _, w := range p.workers {
		if w.gone() {
			continue
		}
		// Of equals the first stays: the oldest, which is nearest to its replacement.
		better := best == nil || w.busy() < best.busy()
		if best != nil && (w.missed > 0) != (best.missed > 0) {
			better = best.missed > 0
		}
		if better {
			best = w
		}
	}
	return best
}

// worn is a worker that has done its work and is to be replaced; nil when there is none. mu is held.
// A limit is reached by the runs that it has begun, or by its memory when it was last looked at.
func (b *Backend) worn(p *pool) *worker {
	for _, w := range p.workers {
		if w.started >= b.cfg.RecycleRuns || w.memory >= b.cfg.RecycleMemory {
			return w
		}
	}
	return nil
}

// Bridges is how many bridges run now, those that are being started included. It may be called at any time.
func (b *Backend) Bridges() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running()
}

// running is how many bridges there are, those included that are being started. mu is held.
// Those that only end their last runs are not counted.
func (b *Backend) running() int {
	n := 0
	for _, p := range b.pools {
		n += len(p.workers)
		if p.starting != nil {
			n++
		}
	}
	return n
}

// makeRoom ends the bridges of the pool that was used longest ago, if there are as many as there
// may be, so that guest can have one. Their agents stay in their home. mu is held. A pool in which
// a run is on is not touched; if there are only such, the guest gets an error and not a wait.
func (b *Backend) makeRoom(guest *pool) error {
	if b.running() < b.cfg.MaxBridges {
		return nil
	}
	var oldest *pool
	for _, p := range b.pools {
		if p != guest && len(p.workers) > 0 && p.idle() && (oldest == nil || p.used < oldest.used) {
			oldest = p
		}
	}
	if oldest == nil {
		return &agent.Error{Code: agent.Overloaded, Message: "The server runs as many of Cursor's bridges as it may. Please try again shortly.", RetryAfter: 5 * time.Second}
	}
	// All of them are idle, so they end at once, and running counts them no more.
	for _, w := range slices.Clone(oldest.workers) {
		b.retire(w)
	}
	return nil
}

// idle reports whether no run is on in the pool. mu is held.
func (p *pool) idle() bool {
	return p.starting == nil && !slices.ContainsFunc(p.workers, func(w *worker) bool { return w.active > 0 })
}

// startFor begins to start a bridge for p, in place of another one unless that is nil. mu is held, and no start of p's is
// on.
func (b *Backend) startFor(p *pool, replaced *worker) {
	p.starting = make(chan struct{})
	b.work.Go(func() { b.start(p, replaced) })
}

// start starts a bridge. The one that it replaces takes no run from then on, and ends when those that it has are over.
//
// It is a goroutine of the backend's (work). Whoever waits for p.starting looks again when it
// is closed, whatever the outcome.
func (b *Backend) start(p *pool, replaced *worker) {
	defer agent.CatchPanic(b.panicked)
	began := time.Now()
	w := &worker{backend: b, pool: p, hopeless: make(chan struct{}), born: began, quiet: began}
	// It takes a second or more, and mu is not held.
	bridge, err := b.startBridge(w)
	w.bridge = bridge
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() {
		close(p.starting)
		p.starting = nil
	}()
	if err != nil {
		if b.closed {
			return
		}
		delay := p.waitLonger()
		p.died = false
		p.failed = &agent.Error{
			Code: agent.Overloaded, Message: "Cursor's bridge could not be started. 'composer-api upstream status' says why.", RetryAfter: delay, Err: err,
		}
		b.cfg.Log.Error("Cursor's bridge could not be started", "err", err, "next_try", delay)
		return
	}
	b.cfg.Log.Info("Cursor's bridge is ready", "took", time.Since(began).Round(time.Millisecond))
	// From here on runs may take it.
	p.workers = append(p.workers, w)
	b.work.Go(func() {
		<-w.bridge.Exited()
		b.exited(w)
	})
	// Now there is a bridge that can be told of the agents that were given up meanwhile.
	for _, a := range p.doomed {
		w.delete(a)
	}
	p.doomed = nil
	if replaced != nil {
		b.retire(replaced)
	}
	if b.closed {
		b.retire(w)
	}
}

// startBridge starts the bridge of w. Whoever waits for it gets the error, whatever it is.
// Home.Start may take seconds. b.life ends it when the backend is closed.
func (b *Backend) startBridge(w *worker) (bridge sdkv1.Bridge, err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	home, err := b.homeOf(w.pool)
	if err != nil {
		return nil, err
	}
	return home.Start(b.life, w.callTool)
}

// homeOf is the home of a pool, which is made with its first bridge. Only the start that is on
// calls it. It makes folders, so it is called without mu.
func (b *Backend) homeOf(p *pool) (sdkv1.Home, error) {
	b.mu.Lock()
	home := p.home
	b.mu.Unlock()
	if home != nil {
		return home, nil
	}
	home, err := b.cfg.NewHome()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p.home = home
	return home, nil
}

// The waits between starts that fail, or bridges that die soon.
const (
	firstDelay = time.Second
	maxDelay   = 30 * time.Second
)

// waitLonger puts the next start off, and returns for how long. mu is held. The waits are 1, 2,
// 4, 8, 16 and then 30 seconds.
func (p *pool) waitLonger() time.Duration {
	const most = 5 // doublings of firstDelay, which is more than maxDelay
	delay := min(firstDelay<<min(p.failures, most), maxDelay)
	p.failures++
	p.again = time.Now().Add(delay)
	return delay
}

// longLife is how long a bridge must have lived for its death not to put the next start off.
const longLife = time.Minute

// exited handles the end of a bridge that nobody has asked for. The first death costs no wait: whoever waits for an answer
// gets it from the next bridge.
//
// Runs that stood on it find their stream broken, and begin again on another bridge if nothing
// was said yet (run.broken).
func (b *Backend) exited(w *worker) {
	defer agent.CatchPanic(b.panicked)
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.retired {
		return
	}
	lived, p := time.Since(w.born), w.pool
	b.cfg.Log.Warn("Cursor's bridge has ended unexpectedly", "lived", lived.Round(time.Second), "runs", w.active)
	b.retire(w)
	switch {
	case lived >= longLife:
		p.failures = 0
	// The first: counted, and no wait.
	case p.failures == 0:
		p.failures = 1
	default:
		delay := p.waitLonger()
		p.died = true
		p.failed = &agent.Error{Code: agent.Overloaded, Message: "Cursor's bridge has ended unexpectedly several times. It is started again soon.", RetryAfter: delay}
	}
	b.keepWarm(p)
}

// keepWarm starts a bridge for the pool that all owners share, if it has none. mu is held.
func (b *Backend) keepWarm(p *pool) {
	if !b.cfg.PerOwner && !b.closed && len(p.workers) == 0 && p.starting == nil && !time.Now().Before(p.again) {
		b.startFor(p, nil)
	}
}

// retire lets no new run begin on a bridge and ends it when those that are on have ended. mu is held.
//
//	what ends the waiting    then
//	drained                  all runs are over: the bridge is closed
//	hopeless                 it does not answer: closed with the runs that it has
//	Exited                   it has ended by itself
//
// Agents stay in the home; the next bridge of the pool resumes them.
func (b *Backend) retire(w *worker) {
	if w.retired {
		return
	}
	p := w.pool
	w.retired = true
	w.drained = make(chan struct{})
	if w.active == 0 {
		close(w.drained)
	}
	p.workers = slices.DeleteFunc(p.workers, func(other *worker) bool { return other == w })
	p.ending++
	b.work.Go(func() {
		defer agent.CatchPanic(b.panicked)
		select {
		case <-w.drained:
		case <-w.hopeless:
		case <-w.bridge.Exited():
		}
		// An agent that is not deleted now would leave its files to the next bridge.
		w.deleting.Wait()
		if err := w.bridge.Close(); err != nil {
			b.cfg.Log.Warn("ending Cursor's bridge", "err", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		p.ending--
		for _, a := range p.agents {
			if a.worker == w {
				a.worker = nil
			}
		}
		b.dropIfEmpty(p)
	})
}

// dropIfEmpty gives a pool up that has neither bridges nor agents, with its home. mu is held.
func (b *Backend) dropIfEmpty(p *pool) {
	// Close takes care of all pools itself. A pool that has to wait before its next start stays,
	// because it remembers for how long.
	if b.closed || p.starting != nil || len(p.workers) > 0 || p.ending > 0 || len(p.agents) > 0 || time.Now().Before(p.again) {
		return
	}
	delete(b.pools, p.owner)
	b.work.Go(func() {
		defer agent.CatchPanic(b.panicked)
		if err := p.close(); err != nil {
			b.cfg.Log.Warn("deleting the folder of Cursor's bridge", "err", err)
		}
	})
}

// close closes the home. Nothing of the pool may be running. A pool that has never started a
// bridge has no home.
func (p *pool) close() error {
	if p.home == nil {
		return nil
	}
	return p.home.Close()
}
