package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/responses/service"
	"composer-api/internal/gateway"
	"composer-api/internal/hosted"
	"composer-api/internal/httpd"
	"composer-api/internal/metrics"
	"composer-api/internal/replica"
	"composer-api/internal/status"
	"composer-api/internal/store"
	"composer-api/internal/traces"
)

// What serve runs, once it is put together: serving, sweeping, and the order in which everything ends.

// An Instance is everything that serve runs. It owns all of its fields; ShutDown closes them, in the order
// that the users of each are closed before it.
//
// Once Assemble has returned, no field changes. Serve and ShutDown may be called from two
// goroutines; each once.
type Instance struct {
	// From here to people: what Assemble made, each set once and never nil.
	log *slog.Logger
	// store is bounded and sealed. All parts share it.
	store     store.Store
	gateway   *gateway.Gateway
	responses *service.Service
	server    *httpd.Server
	backends  []agent.Backend
	metrics   *metrics.Metrics
	traces    *traces.Traces // nil when nobody wants any
	lends     bool           // the server's own Cursor key, to whoever sends its token
	today     *status.Today
	people    *hosted.Service
	swept     chan struct{}  // closed when nothing sweeps the store any more
	lapsed    chan struct{}  // closed when nobody renews the lease of this process any more
	peers     *replica.Peers // nil when this is the only replica
	// These two end the goroutines of swept and lapsed. Assemble sets them by sweep and keepAlive.
	stopSweep context.CancelFunc
	stopLease context.CancelFunc
}

// Serve answers the connections of l until ShutDown. It closes l. The error is http.ErrServerClosed after ShutDown.
func (s *Instance) Serve(l net.Listener) error { return s.server.Serve(l) }

// sweepEvery is how often rows that have expired are deleted.
//
// Expired rows are invisible before they are swept (package store), so this is about space alone.
const sweepEvery = 5 * time.Minute

// sweep deletes expired rows at intervals, in a goroutine that ends with ShutDown. A failure is
// logged and tried again at the next interval. It is called once.
func (s *Instance) sweep(ctx context.Context) {
	ctx, s.stopSweep = context.WithCancel(ctx)
	s.swept = make(chan struct{})
	go func() {
		defer close(s.swept)
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			// The first sweep is one interval after the start: replicas that are started together
			// have something better to do.
			case <-tick.C:
			}
			s.sweepOnce(ctx)
		}
	}()
}

// keepAlive renews the lease of this process, in a goroutine that ends with ShutDown. It is called once.
func (s *Instance) keepAlive(ctx context.Context) {
	ctx, s.stopLease = context.WithCancel(ctx)
	s.lapsed = make(chan struct{})
	go func() {
		defer close(s.lapsed)
		defer agent.CatchPanic(func(err *agent.Error) { s.log.Error("renewing the lease panicked", "err", err) })
		s.people.KeepAlive(ctx)
	}()
}

// sweepOnce deletes what has expired now. A bug in it is logged, and doesn't end the server.
func (s *Instance) sweepOnce(ctx context.Context) {
	defer agent.CatchPanic(func(err *agent.Error) { s.log.Error("sweeping the store panicked", "err", err) })
	if _, err := s.store.Sweep(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("sweeping the store", "err", err)
	}
}

// ShutDown stops everything, in this order:
//
//  1. no new turns, while the listener stays open: other replicas get them, or clients a 503
//  2. background responses get the grace period, and are then interrupted
//  3. with other replicas, runs that wait for tool results get what is left of it
//  4. turns in progress get what is left of it; runs that wait for tool results are ended, and their clients
//     will start again from the transcript
//  5. with other replicas, the listener closes, and turns that pass on to those get what is left of it; then connections get
//     two seconds for their last bytes
//  6. backends, the sweeper, the lease, and the store, which everything before may use
//  7. the last spans get two seconds to reach the collector
//
// It never fails: what doesn't end in time is logged and cut off. ctx must outlive the signal that led here.
func (s *Instance) ShutDown(ctx context.Context, grace time.Duration) {
	s.log.Info("shutting down", "grace", grace)
	// 1. New turns go elsewhere from here on.
	s.drain()
	graceCtx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	// 2. Background responses, which no client is waiting for.
	if err := s.responses.Drain(graceCtx); err != nil {
		s.log.Warn("background responses were interrupted at the end of the grace period")
	}
	if s.peers != nil {
		s.awaitParked(graceCtx) // 3.
	}
	s.responses.Close() // before the gateway, which would end its turns as errors of their own
	// 4. The turns in progress, and the parked runs.
	if err := s.gateway.Close(graceCtx); err != nil {
		s.log.Warn("streams were cut off at the end of the grace period")
	}
	// 5. The listeners, and connections.
	if s.peers != nil {
		// Not earlier: until here somebody may bring what a run here waits for.
		s.server.StopListening()
		s.await(graceCtx, func() bool { return s.server.Passing() == 0 })
	}
	// Turns that were cut off have an error to write.
	const lastBytes = 2 * time.Second
	closing, cancel := context.WithTimeout(ctx, lastBytes)
	defer cancel()
	if err := s.server.Shutdown(closing); err != nil {
		s.log.Warn("connections were cut off", "err", err)
	}
	// 6. Nothing uses these any more.
	if s.peers != nil {
		s.peers.Shutdown(closing)
	}
	if err := s.closeBackends(); err != nil {
		s.log.Warn("closing the upstreams", "err", err)
	}
	// A sweep in progress ends with its context; the store must not be closed under it.
	s.stopSweep()
	s.stopLease()
	<-s.swept
	<-s.lapsed
	if err := s.store.Close(); err != nil {
		s.log.Warn("closing the store", "err", err)
	}
	// 7. All spans are there.
	if s.traces != nil {
		const lastSpans = 2 * time.Second
		sending, cancel := context.WithTimeout(ctx, lastSpans)
		defer cancel()
		s.traces.Shutdown(sending)
	}
}

// drain takes no new turns any more, and says so to load balancers and to other replicas. It may be called more than once.
func (s *Instance) drain() {
	s.server.Drain()
	if s.peers != nil {
		s.peers.Drain(context.Background())
	}
}

// closeBackends closes the backends that need it. The gateway must be closed before, because it owns
// their runs. All are closed, whatever the first one says.
//
// A backend without Close holds nothing but connections, which the process's end closes.
func (s *Instance) closeBackends() error {
	var errs []error
	for _, b := range s.backends {
		if c, ok := b.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
