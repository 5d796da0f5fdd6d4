package sdkbridge

import (
	"context"
	"slices"
	"time"

	"composer-api/internal/agent"
)

const (
	// upkeepEvery is how often bridges are asked for a sign of life, and how often is looked for what has got old.
	upkeepEvery = 15 * time.Second
	// pingTimeout is how long a sign of life may take: a bridge with many streams is busy for seconds.
	pingTimeout = 10 * time.Second
	// maxMissed is how many signs of life in a row may not come before a bridge is ended.
	maxMissed = 2
	// agentLife is how long an agent is kept after its last run: as long as the gateway remembers the conversation.
	agentLife = 6 * time.Hour
	// spareLife is how long a bridge beside another one may have no run before it ends.
	spareLife = 5 * time.Minute
	// lonelyLife is the same for the last bridge of an owner. The bridge that all owners share stays.
	lonelyLife = 15 * time.Minute
)

// upkeep does what is done from time to time, until the backend is closed. It is one goroutine
// for all pools, begun with the first.
func (b *Backend) upkeep() {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.tidy()
		case <-b.life.Done():
			return
		}
	}
}

// tidy does it once.
func (b *Backend) tidy() {
	defer agent.CatchPanic(b.panicked)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	now := time.Now()
	for _, p := range b.pools {
		for _, a := range p.agents {
			if a.run == nil && now.Sub(a.rested) >= agentLife {
				b.remove(a)
			}
		}
		// retire takes a worker out of the list while it is gone through.
		for _, w := range slices.Clone(p.workers) {
			if b.spare(w, now) {
				b.retire(w)
			} else {
				// A goroutine for each, because a bridge that hangs must not keep the others from
				// being looked at. mu is free again when they need it.
				b.work.Go(func() { b.check(w) })
			}
		}
		b.keepWarm(p)
		b.dropIfEmpty(p)
	}
}

// spare reports whether a bridge has not been needed for long. mu is held.
func (b *Backend) spare(w *worker, now time.Time) bool {
	idle := now.Sub(w.quiet)
	switch {
	case w.active > 0:
		return false
	// Not the last one: its owner's next run finds another bridge that is warm.
	case len(w.pool.workers) > 1:
		return idle >= spareLife
	}
	return b.cfg.PerOwner && idle >= lonelyLife
}

// check asks a bridge for a sign of life and looks at its size. One that does not answer is ended: its runs, which nobody
// can cancel, end with it.
//
// Memory is the size of the process as the system tells it; worn decides by it.
func (b *Backend) check(w *worker) {
	defer agent.CatchPanic(b.panicked)
	ctx, cancel := context.WithTimeout(b.life, pingTimeout)
	defer cancel()
	// Without mu: it may take up to pingTimeout.
	err := w.bridge.Client().Ping(ctx)
	size := w.bridge.Memory()
	b.mu.Lock()
	defer b.mu.Unlock()
	w.memory = size
	// Only misses in a row count.
	if err == nil {
		w.missed = 0
		return
	}
	// Exactly maxMissed: hopeless is closed once.
	if w.missed++; w.missed == maxMissed && !w.retired && !w.gone() {
		b.cfg.Log.Error("Cursor's bridge does not answer and is ended", "runs", w.active)
		close(w.hopeless)
		b.retire(w)
		b.keepWarm(w.pool)
	}
}
