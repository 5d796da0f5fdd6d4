package service

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// A job is a background response that this process works on. It goes on when its client leaves.
//
// Three goroutines work for it: run carries out the turn and owns rec and encoder; saveEvents copies the journal into the
// store, and watchRow looks for what other processes do to the row: both read only rec's owner and id, which don't change.
// Everybody else may call cancel, stop and saveNow, wait for turned, kept and done, follow the journal, and read queued and unsaved.
//
//	startJob ─► the turn runs ─► journal ended, turned closed ─► end and events stored ─► done closed
//	              ▲ cancel(cause) ends it here                    ▲ waits here while the store is away
//
// What ends a turn, and how the response ends then (fail):
//
//	the cause                     the response                 its row
//	the turn's own end            completed or incomplete      written by keep
//	an error of the turn          failed                       written by keep
//	errCancelled                  cancelled                    written by keep
//	errDeleted, errLost           cancelled, for its readers   not written: lost
//	no room for events            failed, Overloaded           written by keep
//	Close                         failed, interrupted          written by keep
type job struct {
	// The fields from here to queued are set by startJob. The comment above says whose they are from then on.
	service *Service
	rec     *record
	journal *journal
	encoder *responses.Encoder
	turn    *agent.Request
	queued  store.Response // the row before anything has happened

	ctx    context.Context
	cancel context.CancelCauseFunc // with one of the causes below
	turned chan struct{}           // closed when the turn has ended
	done   chan struct{}           // closed when everything about the job is written down, or can't be

	// lost says that the row is gone or somebody else's: nothing is written any more. For the goroutine of run alone.
	lost bool
	// unsaved is the ended response while it waits for a store that is away; nil when nothing waits. It is set before turned is
	// closed, so who has waited for that finds the end here or in the store.
	unsaved atomic.Pointer[store.Response]
	// deleted says that the row was deleted through this process.
	deleted atomic.Bool
	tryNow  chan chan<- bool // ends a pause of saveEnd: somebody needs the end in the store now, and is told whether it still waits
	kept    chan struct{}    // closed when saveEnd is over
}

// The causes with which a job's context is cancelled; fail tells them apart. When the Service is closed the
// cause is context.Canceled.
var (
	errCancelled = errors.New("the client cancelled the response")
	errDeleted   = errors.New("the client deleted the response")
	errLost      = errors.New("another process has taken the response over")
)

// modelTimeout is how long a response that is to be queued waits for the list of models. Composer's own need none.
const modelTimeout = 3 * time.Second

// checkModel returns an error when there is no model that the request names. Whatever else is wrong with the list of models, the
// response is queued, and its job tells.
func (s *Service) checkModel(ctx context.Context, turn *agent.Request) error {
	if s.cfg.Model == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, modelTimeout)
	defer cancel()
	if _, err := s.cfg.Model(ctx, turn.Caller, turn.ModelName, turn.Effort); agent.CodeOf(err) == agent.ModelNotFound {
		return err
	}
	return nil
}

// createInBackground answers POST /responses with background: true.
func (s *Service) createInBackground(w http.ResponseWriter, r *http.Request, req *responses.Request, turn *agent.Request, rec *record) error {
	if err := s.checkModel(r.Context(), turn); err != nil {
		return err
	}
	j, err := s.startJob(req, turn, rec)
	if err != nil {
		return err
	}
	// The stream is read from the job's journal, like any later one: -1 is from the first event on.
	if req.Stream {
		return s.stream(w, r, j.queued, -1)
	}
	return api.WriteJSON(w, j.queued.Object)
}

// startJob stores the response as queued and begins to work on it. When it returns an error nothing runs, and nothing
// counts against the limits any more.
//
// The row is stored before the job runs: a client that has its id finds it, in this process and in others.
func (s *Service) startJob(req *responses.Request, turn *agent.Request, rec *record) (*job, error) {
	if err := s.admit(rec.row.Owner); err != nil {
		return nil, err
	}
	j := &job{service: s, rec: rec, journal: newJournal(&s.eventBudget), turn: turn, turned: make(chan struct{}), done: make(chan struct{}),
		tryNow: make(chan chan<- bool), kept: make(chan struct{})}
	opt := rec.options()
	opt.Keep = j.keep
	j.encoder = responses.NewStream(req, opt, j.journal)
	if err := j.encoder.Queue(); err != nil {
		j.journal.close()
		s.release(rec.row.Owner)
		return nil, err
	}
	// From the moment the row is there, this process answers for it.
	rec.row.Runner, rec.row.Lease = s.runner, leaseTime
	creating, created := context.WithTimeout(context.Background(), storeTimeout)
	defer created()
	if err := rec.create(creating, j.encoder.Response()); err != nil {
		j.journal.close()
		s.release(rec.row.Owner)
		// The row may have been written although the store's answer was lost.
		s.forget(j.ref(), err)
		return nil, storeError(err)
	}
	s.hold(rec)
	// A copy, because run changes rec.row from now on.
	j.queued = rec.row
	j.ctx, j.cancel = context.WithCancelCause(s.ctx)
	s.mu.Lock()
	s.jobs[j.ref()] = j
	s.mu.Unlock()
	s.idle.Go(j.run)
	return j, nil
}

// admit counts a job of owner in, and its end in what Close waits for. The caller owes a release.
func (s *Service) admit(owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return agent.ErrShuttingDown
	case s.admitted() >= s.cfg.MaxJobs:
		return &agent.Error{Code: agent.Overloaded, Message: "The server runs as many background responses as it may. Please try again later.", RetryAfter: 10 * time.Second}
	case s.byOwner[owner] >= s.cfg.MaxJobsPerOwner:
		return &agent.Error{Code: agent.RateLimited, Message: "You have as many background responses in progress as you may. Wait for one to end, or cancel one.", RetryAfter: 10 * time.Second}
	}
	s.byOwner[owner]++
	s.idle.Add(1)
	return nil
}

// release undoes admit.
func (s *Service) release(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byOwner[owner]--; s.byOwner[owner] == 0 {
		delete(s.byOwner, owner)
	}
	s.idle.Done()
}

// job is the job that works on a response in this process; nil when there is none, because the response has ended or
// another process works on it.
func (s *Service) job(ref store.ResponseRef) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[ref]
}

// ref names the job's row. It may be called by any goroutine.
func (j *job) ref() store.ResponseRef {
	return store.ResponseRef{Owner: j.rec.row.Owner, ID: j.rec.row.ID}
}

// run does the work. The job is over when its end and its events are stored: until then it counts as one that runs, so
// the limits on jobs bound also what waits for a store that is away.
//
// A panic ends this response alone: it is logged, the response is kept as failed, and the job is over all the same.
//
// The order of the steps is what readers rely on: the journal ends before turned is closed, the
// end is stored before done is.
func (j *job) run() {
	defer j.over()
	var helpers sync.WaitGroup
	helpers.Go(func() {
		defer agent.CatchPanic(j.panicked)
		j.saveEvents()
	})
	working, stop := context.WithCancel(j.ctx)
	defer stop()
	helpers.Go(func() {
		defer agent.CatchPanic(j.panicked)
		j.watchRow(working)
	})
	j.work()
	stop()
	j.journal.end()
	// After the journal's end: whoever waits for turned may read all events.
	close(j.turned)
	j.saveEnd()
	// done means that row and events are both stored.
	helpers.Wait()
}

// watchRow stops the turn when the row was cancelled or deleted through another process, until ctx ends. What the store
// doesn't tell of is found out by the next write, or when the leases are renewed.
//
// The store tells of this process's own writes, too; there are one or two in a turn.
func (j *job) watchRow(ctx context.Context) {
	ref := j.ref()
	watch := j.service.store.WatchResponse(ref, false)
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-watch.Changed():
			reading, cancel := context.WithTimeout(ctx, storeTimeout)
			j.service.checkLost(reading, j)
			cancel()
		}
	}
}

// work carries out the turn. The response has ended when it returns.
func (j *job) work() {
	defer agent.CatchPanic(func(err *agent.Error) {
		j.panicked(err)
		j.giveUp()
	})
	if err := j.service.cfg.Turns.Turn(j.ctx, j.turn, j); err != nil {
		j.fail(err)
	}
}

// giveUp keeps the response as failed without asking the encoder, which may be where the bug is.
func (j *job) giveUp() {
	defer agent.CatchPanic(j.panicked)
	if r := j.encoder.Response(); !j.lost && !r.Status.Ended() {
		j.rec.row.Runner, j.rec.row.Lease = "", 0
		j.rec.set(failedWith(r, (&agent.Error{Code: agent.Internal}).UserMessage()))
		_ = j.write() // which logs it, and notes what saveEnd has to do
	}
}

// panicked notes a bug.
func (j *job) panicked(err *agent.Error) {
	j.service.cfg.Log.Error("a background response panicked", "id", j.rec.row.ID, "err", err)
}

// over lets go of everything that a job holds.
func (j *job) over() {
	defer j.cancel(nil)
	s := j.service
	s.mu.Lock()
	delete(s.jobs, j.ref())
	s.mu.Unlock()
	j.journal.close()
	close(j.done)
	s.release(j.rec.row.Owner)
}

// Accept implements agent.Sink. The response is in_progress from here, also in the store. An
// error of keep means that the row is lost, and ends the turn.
func (j *job) Accept(a agent.Accepted) error {
	if err := j.encoder.Accept(a); err != nil {
		return err
	}
	return j.keep(j.encoder.Response())
}

// Event implements agent.Sink. It is where a response ends for which there is no room: the error makes the gateway end
// the turn, and fail recognises it.
func (j *job) Event(e *agent.Event) error {
	if j.journal.budget.exceeded() {
		return errOverBudget
	}
	return j.encoder.Event(e)
}

// Flush implements agent.Sink.
func (j *job) Flush() error { return j.encoder.Flush() }

// fail ends a response whose turn ended with err, in the way that its cause asks for. Whoever reads the journal gets a
// last event in any case.
func (j *job) fail(err error) {
	if j.encoder.Response().Status.Ended() {
		return
	}
	switch cause := context.Cause(j.ctx); {
	// It stands before the causes, because nobody has cancelled.
	case errors.Is(err, errOverBudget): // to the turn it looked as if the client had left
		j.encoder.Fail(errOverBudget)
	case cause == nil:
		j.encoder.Fail(agent.AsError(err))
	case errors.Is(cause, errCancelled):
		j.encoder.Cancel()
	case errors.Is(cause, errDeleted), errors.Is(cause, errLost):
		j.lost = true // the row is gone, or somebody else's
		j.encoder.Cancel()
	default: // the service is being closed
		j.encoder.Interrupt()
	}
}
