package service

import (
	"context"
	"slices"
	"time"

	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

const (
	// leaseTime is how long after its last sign of life a process is taken for dead.
	leaseTime = 15 * time.Second
	leaseTick = 5 * time.Second
	// abandonedMax is how many responses of dead processes are ended at once.
	abandonedMax = 100
)

// lookAfterLeases renews the leases of this process's jobs, and ends what dead processes have left, until the service
// is closed.
//
// Others are judged only after the store could be written for the time of a whole lease: after an outage every living
// process must have had the time to renew its own leases.
func (s *Service) lookAfterLeases() {
	ticker := time.NewTicker(leaseTick)
	defer ticker.Stop()
	var since time.Time // when the store could be written first, and ever since; zero while it can't
	for {
		switch err := s.renewLeases(); {
		case s.ctx.Err() != nil:
			return
		case err != nil:
			s.cfg.Log.Error("the leases of background responses could not be renewed", "err", err)
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= leaseTime:
			s.endAbandoned()
		}
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// renewLeases keeps what this process works on, and stops working on what it has lost. It writes also when there is
// nothing to keep. The error is the store's.
func (s *Service) renewLeases() error {
	jobs := s.snapshot()
	refs := make([]store.ResponseRef, len(jobs))
	for i, j := range jobs {
		refs[i] = j.ref()
	}
	ctx, cancel := context.WithTimeout(s.ctx, storeTimeout)
	defer cancel()
	held, err := s.cfg.Store.RenewLeases(ctx, s.runner, refs, leaseTime)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if !slices.Contains(held, j.ref()) {
			j.cancel(errLost) // cancelled or deleted through another process; a job that is just ending doesn't mind
		}
	}
	return nil
}

func (s *Service) snapshot() []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := make([]*job, 0, len(s.jobs))
	for _, j := range s.jobs {
		jobs = append(jobs, j)
	}
	return jobs
}

// endAbandoned marks as failed what was running in processes that died.
func (s *Service) endAbandoned() {
	ctx, cancel := context.WithTimeout(s.ctx, storeTimeout)
	defer cancel()
	rows, err := s.cfg.Store.AbandonedResponses(ctx, s.runner, abandonedMax)
	if err != nil {
		if s.ctx.Err() == nil {
			s.cfg.Log.Error("abandoned background responses could not be looked for", "err", err)
		}
		return
	}
	for _, row := range rows {
		err := s.settle(ctx, row, (*responses.Response).Interrupt)
		// A conflict among the errors says that another process was faster.
		s.cfg.Log.Info("a background response was abandoned", "id", row.ID, "err", err)
	}
}

// settle ends a response that this process doesn't work on, in the way that end says, and its events with it.
func (s *Service) settle(ctx context.Context, row store.Response, end func(*responses.Response)) error {
	object, err := responses.DecodeResponse(row.Object)
	if err != nil {
		return err
	}
	log, err := s.log(ctx, row.Owner, row.ID)
	if err != nil {
		return err
	}
	end(object)
	rest, err := responses.Settle(object, log)
	if err != nil {
		return err
	}
	row.Status, row.Object = string(object.Status), object.Encode()
	row.Runner, row.Lease = "", 0
	if err := s.cfg.Store.UpdateResponse(ctx, row); err != nil {
		return err
	}
	if err := appendEvents(ctx, s.cfg.Store, &row, len(log), rest); err != nil {
		// Whoever follows the stream makes up for it.
		s.cfg.Log.Info("the end of a background response could not be added to its events", "id", row.ID, "err", err)
	}
	return nil
}

// log is all events of a response that are stored.
func (s *Service) log(ctx context.Context, owner, id string) (log [][]byte, err error) {
	for {
		events, err := s.cfg.Store.ListEvents(ctx, owner, id, int64(len(log))-1, followMax)
		for _, e := range events {
			log = append(log, e.Data)
		}
		if err != nil || len(events) < followMax {
			return log, err
		}
	}
}
