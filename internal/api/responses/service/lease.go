package service

import (
	"context"
	"errors"
	"slices"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// Leases: how processes that share a store know which of them works on a background response,
// and that one of them is dead. A process renews the leases of all of its jobs in one write,
// every leaseTick. See decisions/0016.

const (
	// leaseTime is how long after its last sign of life a process is taken for dead. It is three times leaseTick, so a
	// renewal may fail.
	leaseTime = 15 * time.Second
	leaseTick = 5 * time.Second
	// abandonedMax is how many responses of dead processes are ended at once.
	abandonedMax = 100
)

// keepLeases renews the leases of this process's jobs, and ends what dead processes have left, until the service
// is closed.
//
// Others are judged only after the store could be written for the time of a whole lease: after an outage every living
// process must have had the time to renew its own leases. A machine that slept counts as an outage.
func (s *Service) keepLeases() {
	ticker := time.NewTicker(leaseTick)
	defer ticker.Stop()
	// since is when this process may begin to judge others from; last tells that the machine has
	// slept.
	var since, last time.Time // the first and the last of a series of successful writes; zero while there is none
	for {
		if now := time.Now().Round(0); now.Sub(last) > 2*leaseTick { // by the wall clock, which goes on while a machine sleeps
			since = time.Time{}
		}
		switch err := s.renewLeases(); {
		case s.ctx.Err() != nil:
			return
		case err != nil:
			s.cfg.Log.Error("the leases of background responses could not be renewed", "err", err)
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		// Long enough for every living process to have renewed its leases, three times over.
		case time.Since(since) >= leaseTime:
			s.endAbandoned()
		}
		last = time.Now().Round(0)
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// renewLeases keeps what this process works on, and stops working on what it has lost. It writes also when there is
// nothing to keep. The error is the store's.
func (s *Service) renewLeases() (err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	jobs := s.allJobs()
	refs := make([]store.ResponseRef, len(jobs))
	for i, j := range jobs {
		refs[i] = j.ref()
	}
	ctx, cancel := context.WithTimeout(s.ctx, storeTimeout)
	defer cancel()
	// One write for all jobs. What it doesn't return is another's, or gone.
	held, err := s.store.RenewLeases(ctx, s.runner, refs, leaseTime)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if !slices.Contains(held, j.ref()) {
			s.checkLost(ctx, j)
		}
		if j.unsaved.Load() != nil {
			j.endPause() // the store is back
		}
	}
	// The store is there just now, so it is a good moment.
	s.deleteForgotten(ctx)
	return nil
}

// checkLost stops a job whose row this process no longer holds, because it was cancelled or deleted through another
// process.
//
//	row                         the job
//	gone                        is cancelled: errDeleted
//	can't be read, ours again   goes on; the next renewal tells
//	failed as interrupted       goes on; its answer will replace the failure (see update)
//	anything else               is cancelled: errLost
func (s *Service) checkLost(ctx context.Context, j *job) {
	select {
	case <-j.turned:
		return // it has stored its end itself, or finds out when it does
	default:
	}
	ref := j.ref()
	switch row, err := s.store.Response(ctx, ref.Owner, ref.ID); {
	case errors.Is(err, store.ErrNotFound):
		j.cancel(errDeleted)
	case err != nil, row.Runner == s.runner:
		// Not known, or held after all. The next renewal will tell.
	case interrupted(&row):
		// Another process took this one for dead. When the job ends, its answer takes the place of that.
		s.cfg.Log.Warn("a running background response was taken for abandoned", "id", ref.ID)
	default:
		j.cancel(errLost)
	}
}

// forgottenMax bounds Service.forgotten. What doesn't fit stays in the store as queued until it expires.
const forgottenMax = 1000

// forget takes note of a background response that could not be created: if the store has it all the same, and only its
// answer was lost, nobody works on it and nobody would ever end it.
func (s *Service) forget(ref store.ResponseRef, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept.IsUnavailable(err) && len(s.forgotten) < forgottenMax {
		s.forgotten = append(s.forgotten, ref)
	}
}

// deleteForgotten deletes what forget has noted. What can't be deleted now is kept for the next time.
func (s *Service) deleteForgotten(ctx context.Context) {
	s.mu.Lock()
	refs := s.forgotten
	s.forgotten = nil
	s.mu.Unlock()
	for i, ref := range refs {
		err := s.store.DeleteResponse(ctx, ref.Owner, ref.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			s.mu.Lock()
			s.forgotten = append(s.forgotten, refs[i:]...)
			s.mu.Unlock()
			return
		}
	}
}

// allJobs are the jobs that run now.
func (s *Service) allJobs() []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := make([]*job, 0, len(s.jobs))
	for _, j := range s.jobs {
		jobs = append(jobs, j)
	}
	return jobs
}

// endAbandoned marks as failed what was running in processes that died: abandonedMax rows at a
// time, so that a crash with many doesn't hold up the renewals. The store says which those are:
// their lease has run out, and their runner is another process.
func (s *Service) endAbandoned() {
	defer agent.CatchPanic(func(err *agent.Error) {
		s.cfg.Log.Error("ending abandoned background responses panicked", "err", err)
	})
	ctx, cancel := context.WithTimeout(s.ctx, storeTimeout)
	defer cancel()
	rows, err := s.store.AbandonedResponses(ctx, s.runner, abandonedMax)
	if err != nil {
		if s.ctx.Err() == nil {
			s.cfg.Log.Error("abandoned background responses could not be looked for", "err", err)
		}
		return
	}
	for _, row := range rows {
		ctx, cancel := context.WithTimeout(s.ctx, storeTimeout)
		_, _, err := s.settle(ctx, row, (*responses.Response).Interrupt)
		cancel()
		// A conflict among the errors says that another process was faster.
		s.cfg.Log.Info("a background response was abandoned", "id", row.ID, "err", err)
		if kept.IsUnavailable(err) {
			return
		}
	}
}

// settle ends a response that this process doesn't work on, in the way that end says. It returns the events that are
// still to come, of which the first has the sequence number first. What can't be read, or is too large with all that its
// events hold, is ended as failed with nothing in it, so that nobody tries again. Errors are the store's;
// store.ErrConflict means that somebody else was faster, and that nothing was changed.
//
// The row is changed first, and the caller may add the events. If nobody does, readers make the
// same events from the row (synthesizeEnd).
func (s *Service) settle(ctx context.Context, row store.Response, end func(*responses.Response)) (first int, rest [][]byte, err error) {
	// One row that makes us panic must not keep us from the others.
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	object, first, rest, err := s.settled(ctx, &row, end)
	if kept.IsUnavailable(err) || ctx.Err() != nil {
		return 0, nil, err
	}
	if err == nil {
		row.Status, row.Object = string(object.Status), object.Encode()
		row.Runner, row.Lease = "", 0
		if err = s.store.UpdateResponse(ctx, row); !errors.Is(err, store.ErrTooLarge) {
			return first, rest, err
		}
	}
	s.cfg.Log.Error("a background response can't be read or kept any more", "id", row.ID, "err", err)
	object = responses.Unreadable(row.ID, row.Created)
	row.Status, row.Object, row.Input = string(object.Status), object.Encode(), []byte("[]")
	row.Runner, row.Lease = "", 0
	return 0, nil, s.store.UpdateResponse(ctx, row)
}

// settled makes the object of a response that ends as end says, and the rest of its events. The object gets the output
// that its stored events tell of: the row of a response that runs has none.
func (s *Service) settled(ctx context.Context, row *store.Response, end func(*responses.Response)) (object *responses.Response, first int, rest [][]byte, err error) {
	if object, err = responses.DecodeResponse(row.Object); err != nil {
		return nil, 0, nil, err
	}
	log, err := s.log(ctx, row.Owner, row.ID)
	if err != nil {
		return nil, 0, nil, err
	}
	end(object)
	rest, err = responses.Settle(object, log)
	return object, len(log), rest, err
}

// log is all events of a response that are stored. It reads all of them into memory: followMax
// at a time, and bounded by what a job may hold.
func (s *Service) log(ctx context.Context, owner, id string) (log [][]byte, err error) {
	for {
		events, err := s.listEvents(ctx, owner, id, int64(len(log))-1, followMax)
		for _, e := range events {
			log = append(log, e.Data)
		}
		if err != nil || len(events) < followMax {
			return log, err
		}
	}
}

// listEvents is the store's ListEvents, within storeTimeout.
func (s *Service) listEvents(ctx context.Context, owner, id string, after int64, limit int) ([]store.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.store.ListEvents(ctx, owner, id, after, limit)
}
