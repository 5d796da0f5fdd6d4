package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"composer-api/internal/agent"
)

// Whether an upstream can be reached, for /readyz and whoever else asks. A probe remembers the
// answer for some seconds, so that a load balancer that asks often costs upstream little.
//
//	last is        and asked again         then
//	nil            —                       a new look; the one who asks waits for it
//	under way      —                       waits for the same look
//	done, fresh    within the time below   its answer at once
//	done, stale    later                   a new look

// How long the answer of a probe stands, and how long it may take. One probe of an upstream is under way at a time,
// however many ask.
const (
	reachableFor   = 10 * time.Second
	unreachableFor = 2 * time.Second
	probeTimeout   = 3 * time.Second
)

// Configured is the error that a turn for this upstream would get because there is none; "" is
// the default one. It asks nobody: it is about the configuration alone.
func (g *Gateway) Configured(upstream string) error {
	_, err := g.backend(upstream)
	return err
}

// Reachable finds out whether turns can reach an upstream, as it was a few seconds ago at most; "" is the default one. It
// needs no key. Errors are *agent.Error. A backend that can't tell counts as reachable.
func (g *Gateway) Reachable(ctx context.Context, upstream string) error {
	b, err := g.backend(upstream)
	if err != nil {
		return err
	}
	p := g.probes[b.Name()]
	if p == nil {
		return nil
	}
	return p.result(ctx)
}

// A probe remembers whether a backend's upstream can be reached.
//
// mu guards last and away. A look is written by its own goroutine alone, before done is closed, so whoever
// has seen done closed may read it without mu; stale reads it under mu after it has seen the same.
type probe struct {
	ctx context.Context // of the gateway: looks end with it
	// backend, name and log don't change.
	backend agent.Prober
	name    string
	log     *slog.Logger

	mu   sync.Mutex
	last *look // nil before the first
	away bool  // what the log was told last
}

// A look is one try to reach upstream. at and err are set when done is closed.
type look struct {
	done chan struct{}
	at   time.Time
	// err is nil for an upstream that answers.
	err error
}

// newProbes makes a probe for each backend that can be probed. They do nothing until they are asked.
func newProbes(ctx context.Context, backends []agent.Backend, log *slog.Logger) map[string]*probe {
	probes := map[string]*probe{}
	for _, b := range backends {
		if p, ok := b.(agent.Prober); ok {
			probes[b.Name()] = &probe{ctx: ctx, backend: p, name: b.Name(), log: log}
		}
	}
	return probes
}

// result is what the last look has found, if that is not too long ago, or else what a new one
// finds. ctx ends the waiting alone; the look goes on for others and is bounded by probeTimeout.
func (p *probe) result(ctx context.Context) error {
	p.mu.Lock()
	l := p.last
	if l == nil || l.stale(time.Now()) {
		l = &look{done: make(chan struct{})}
		p.last = l
		// It serves everybody who waits, so it does not end with the one who asked first.
		go p.look(l)
	}
	p.mu.Unlock()
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
	}
}

// stale reports whether a look is over and its answer too old.
func (l *look) stale(now time.Time) bool {
	select {
	case <-l.done:
	default:
		return false
	}
	if l.err != nil {
		return now.Sub(l.at) >= unreachableFor
	}
	return now.Sub(l.at) >= reachableFor
}

// ask tries to reach upstream. Whoever waits gets the error, whatever it is.
func (p *probe) ask() (err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	ctx, cancel := context.WithTimeout(p.ctx, probeTimeout)
	defer cancel()
	return p.backend.Probe(ctx)
}

// look finds out whether upstream can be reached. The log hears of a change only. It is a goroutine
// of its own and ends with the probe's context at the latest, when the gateway is closed.
func (p *probe) look(l *look) {
	err := p.ask()
	p.mu.Lock()
	defer p.mu.Unlock()
	l.err, l.at = err, time.Now()
	switch {
	case err != nil && !p.away:
		p.log.Warn("upstream can't be reached", "upstream", p.name, "err", err)
	case err == nil && p.away:
		p.log.Info("upstream can be reached again", "upstream", p.name)
	}
	p.away = err != nil
	close(l.done)
}
