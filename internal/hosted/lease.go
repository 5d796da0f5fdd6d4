package hosted

import (
	"context"
	"time"

	"composer-api/internal/store"
)

// renewEvery is how often a process says that it lives: often enough that a try may fail.
const renewEvery = store.RunnerLease / 3

// KeepAlive says that this process lives, so that its requests count against the limits of their keys as long as they run,
// and no longer than store.RunnerLease after it has died. It returns when ctx has ended, and gives the lease back then. It
// does nothing without a Runner, and while hosted keys are off.
//
// While the store is unavailable the lease may end. Requests that go on meanwhile count no longer until it is back: a few
// more may begin than the limit says.
func (s *Service) KeepAlive(ctx context.Context) {
	if s.cfg.Runner == "" || s.ready() != nil {
		return
	}
	// The first renewal is made at once: until then the requests of this process count by their age alone.
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		if err := s.cfg.Store.RenewRunner(ctx, s.cfg.Runner, store.RunnerLease); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("the lease of this process could not be renewed", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			// ctx is the reason to stop. A lease of 0 ends now, so requests that were cut off count no longer.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
			defer cancel()
			if err := s.cfg.Store.RenewRunner(ctx, s.cfg.Runner, 0); err != nil {
				s.cfg.Log.Debug("the lease of this process could not be given back", "err", err)
			}
			return
		}
	}
}
