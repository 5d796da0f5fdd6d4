package service

import (
	"context"
	"errors"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// A job is a background response that this process works on. It goes on when its client leaves.
type job struct {
	service *Service
	rec     *record
	journal *journal
	encoder *responses.Encoder
	turn    *agent.Request

	ctx    context.Context
	cancel context.CancelCauseFunc // with one of the causes below
	done   chan struct{}           // closed when everything about the job is written down
}

// Why a job is stopped.
var (
	errCancelled = errors.New("the client cancelled the response")
	errDeleted   = errors.New("the client deleted the response")
	errLost      = errors.New("another process has taken the response over")
)

// createInBackground answers POST /responses with background: true.
func (s *Service) createInBackground(w http.ResponseWriter, r *http.Request, req *responses.Request, turn *agent.Request, rec *record) error {
	j, err := s.startJob(req, turn, rec)
	if err != nil {
		return err
	}
	if req.Stream {
		return s.stream(w, r, j.ref(), -1)
	}
	return api.WriteJSON(w, j.rec.queued)
}

// startJob stores the response as queued and begins to work on it.
func (s *Service) startJob(req *responses.Request, turn *agent.Request, rec *record) (*job, error) {
	if err := s.admit(rec.row.Owner); err != nil {
		return nil, err
	}
	j := &job{service: s, rec: rec, journal: newJournal(), turn: turn, done: make(chan struct{})}
	opt := rec.options()
	opt.Keep = j.keep
	j.encoder = responses.NewStream(req, opt, j.journal)
	if err := j.encoder.Queue(); err != nil {
		s.leave(rec.row.Owner)
		return nil, err
	}
	rec.row.Runner, rec.row.Lease = s.runner, leaseTime
	if err := rec.create(j.encoder.Response()); err != nil {
		s.leave(rec.row.Owner)
		return nil, storeError(err)
	}
	rec.queued = rec.row.Object
	j.ctx, j.cancel = context.WithCancelCause(s.ctx)
	s.mu.Lock()
	s.jobs[j.ref()] = j
	s.mu.Unlock()
	s.idle.Go(j.run)
	return j, nil
}

// admit counts a job of owner in, and its end in what Close waits for.
func (s *Service) admit(owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, n := range s.byOwner {
		total += n
	}
	switch {
	case s.closed:
		return &agent.Error{Code: agent.Overloaded, Message: "The server is shutting down. Please try again.", RetryAfter: time.Second}
	case total >= s.cfg.MaxJobs:
		return &agent.Error{Code: agent.Overloaded, Message: "The server runs as many background responses as it may. Please try again later.", RetryAfter: 10 * time.Second}
	case s.byOwner[owner] >= s.cfg.MaxJobsPerOwner:
		return &agent.Error{Code: agent.RateLimited, Message: "You have as many background responses in progress as you may. Wait for one to end, or cancel one.", RetryAfter: 10 * time.Second}
	}
	s.byOwner[owner]++
	s.idle.Add(1)
	return nil
}

func (s *Service) leave(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byOwner[owner]--; s.byOwner[owner] == 0 {
		delete(s.byOwner, owner)
	}
	s.idle.Done()
}

// job is the job that works on a response here; nil when there is none.
func (s *Service) job(ref store.ResponseRef) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[ref]
}

func (j *job) ref() store.ResponseRef {
	return store.ResponseRef{Owner: j.rec.row.Owner, ID: j.rec.row.ID}
}

// run does the work.
func (j *job) run() {
	defer j.cancel(nil)
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		j.saveEvents()
	}()
	if err := j.service.cfg.Turns.Turn(j.ctx, j.turn, j); err != nil {
		j.fail(err)
	}
	j.journal.end()
	<-saved

	s := j.service
	s.mu.Lock()
	delete(s.jobs, j.ref())
	s.mu.Unlock()
	close(j.done)
	s.leave(j.rec.row.Owner)
}

// Accept implements agent.Sink.
func (j *job) Accept(a agent.Accepted) error {
	if err := j.encoder.Accept(a); err != nil {
		return err
	}
	return j.keep(j.encoder.Response())
}

// Event implements agent.Sink.
func (j *job) Event(e *agent.Event) error { return j.encoder.Event(e) }

// Flush implements agent.Sink.
func (j *job) Flush() error { return j.encoder.Flush() }

// fail ends a response whose turn ended with err, in the way that its cause asks for.
func (j *job) fail(err error) {
	switch cause := context.Cause(j.ctx); {
	case cause == nil:
		j.encoder.Fail(agent.AsError(err))
	case errors.Is(cause, errCancelled):
		j.encoder.Cancel()
	case errors.Is(cause, errDeleted), errors.Is(cause, errLost):
		// The row is gone, or somebody else's.
	default: // the service is being closed
		j.encoder.Interrupt()
	}
}

// keep writes the response down as it stands. A store that is away for a moment is waited for: there is no client here
// who could ask again.
func (j *job) keep(r *responses.Response) error {
	if responses.Status(r.Status).Ended() {
		j.rec.row.Runner, j.rec.row.Lease = "", 0
	}
	var err error
	for range keepAttempts {
		if err = j.rec.update(r); !errors.Is(err, store.ErrUnavailable) {
			break
		}
		time.Sleep(keepPause)
	}
	if err != nil {
		j.service.cfg.Log.Error("a background response could not be stored", "id", j.rec.row.ID, "status", string(r.Status), "err", err)
	}
	return err
}

const (
	keepAttempts = 5
	keepPause    = time.Second
)

// How often events are written down. Each time costs the store a transaction, and a client here reads them from memory.
const saveEvery = 250 * time.Millisecond

// saveEvents writes the journal's events to the store until it has ended.
func (j *job) saveEvents() {
	saved, failures := 0, 0
	for {
		events, ended, changed := j.journal.from(saved)
		if len(events) == 0 {
			if ended {
				return
			}
			<-changed
			j.pause(saveEvery)
			continue
		}
		err := j.save(saved, events)
		switch {
		case err == nil:
			saved += len(events)
			failures = 0
		case errors.Is(err, store.ErrNotFound):
			j.cancel(errDeleted)
			return
		default:
			j.service.cfg.Log.Error("events of a background response could not be stored", "id", j.rec.row.ID, "err", err)
			if failures++; failures >= keepAttempts || !errors.Is(err, store.ErrUnavailable) {
				return // who reads from the store gets the end from the row
			}
			time.Sleep(keepPause)
		}
	}
}

func (j *job) save(first int, events [][]byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return appendEvents(ctx, j.service.cfg.Store, &j.rec.row, first, events)
}

// pause waits for d, or less when the journal has ended.
func (j *job) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		_, ended, changed := j.journal.from(0)
		if ended {
			return
		}
		select {
		case <-timer.C:
			return
		case <-changed:
		}
	}
}
