package service

import (
	"bytes"
	"context"
	"errors"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// How a job writes its row and its events into the store, also while that is away.

// keep writes the response down as it stands, once. While the store is away the turn goes on all the same; saveEnd
// tries again until it is stored. A response that has ended gives up its lease in the same write, so no other process can find it
// without a runner and not ended.
//
// It is called by the encoder at the end (Options.Keep) and by Accept, in run's goroutine.
func (j *job) keep(r *responses.Response) error {
	if j.lost {
		return nil
	}
	if r.Status.Ended() {
		j.rec.row.Runner, j.rec.row.Lease = "", 0
	}
	j.rec.set(r)
	return j.write()
}

// write stores the record and notes whether that has to be tried again. An error is for good: the row is gone, is
// another's, or can't hold the response. That the store is away is no error: it is logged, and an end waits in unsaved.
//
//	the store says             then
//	nothing, or too large      done (with what fits)
//	not found                  lost; the job is cancelled with errDeleted
//	conflict                   lost; the job is cancelled with errLost
//	anything else              logged; an end waits in unsaved for saveEnd
func (j *job) write() error {
	err := j.rec.update()
	ended := responses.Status(j.rec.row.Status).Ended()
	if errors.Is(err, store.ErrTooLarge) && ended {
		// With what the model said it is too large, and an end it must have.
		j.service.cfg.Log.Error("a background response is too large to be stored", "id", j.rec.row.ID)
		j.rec.set(failedWith(j.encoder.Response(), "The response is too large to be stored. Ask for a shorter one, or leave 'background' out."))
		err = j.rec.update()
	}
	switch {
	case err == nil, errors.Is(err, store.ErrTooLarge):
	case errors.Is(err, store.ErrNotFound):
		j.lost = true
		j.cancel(errDeleted)
	case errors.Is(err, store.ErrConflict):
		j.lost = true
		j.cancel(errLost)
	default:
		j.service.cfg.Log.Error("a background response could not be stored", "id", j.rec.row.ID, "status", j.rec.row.Status, "err", err)
		if ended {
			// A copy: the record may be changed by the next try.
			row := j.rec.row
			j.unsaved.Store(&row)
		}
		return nil
	}
	j.unsaved.Store(nil)
	return err
}

// failedWith is what is kept of a response that can't be kept as it is.
func failedWith(r *responses.Response, message string) *responses.Response {
	small := *r
	small.Status, small.Output, small.CompletedAt, small.IncompleteDetails = responses.Failed, nil, nil, nil
	small.Error = &responses.Failure{Code: "server_error", Message: message}
	return &small
}

// saveEnd returns once the end of the response is stored, or can't be: the row is gone or somebody else's, or the
// service is closed and the store still away.
func (j *job) saveEnd() {
	defer close(j.kept)
	defer agent.CatchPanic(j.panicked)
	for try := 1; j.unsaved.Load() != nil; try++ {
		asked, open := j.retryPause(try, j.tryNow)
		j.write()
		waits := j.unsaved.Load() != nil
		if asked != nil {
			asked <- waits
		}
		if !open && waits {
			j.service.cfg.Log.Error("the end of a background response is lost, because the store is away", "id", j.rec.row.ID)
			return
		}
	}
}

// retryPause waits before the next try: 1 s after the first, a second longer after each, leaseTick at most. open is false when the
// service is closed; then one last try is due at once. tryNow, when not nil, ends the pause, with who is to be told of the try.
func (j *job) retryPause(try int, tryNow <-chan chan<- bool) (asked chan<- bool, open bool) {
	timer := time.NewTimer(min(time.Duration(try)*time.Second, leaseTick))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil, true
	case asked := <-tryNow:
		return asked, true
	case <-j.service.ctx.Done():
		return nil, false
	}
}

// endPause ends the pause of an end that waits for the store, if it is in one. It does not wait.
func (j *job) endPause() {
	select {
	case j.tryNow <- nil:
	default:
	}
}

// saveNow has an end that waits for the store be written at once, and waits for one try, for storeTimeout at most. It does nothing
// for a job whose end does not wait. The error is that it waits still.
func (j *job) saveNow(ctx context.Context) error {
	if j.unsaved.Load() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	// With room: saveEnd must not wait for a request that has left.
	told := make(chan bool, 1)
	select {
	case j.tryNow <- told:
	case <-j.kept:
		return nil
	case <-ctx.Done():
		return store.ErrUnavailable
	}
	select {
	// The try is over. It says whether the end still waits, and not why: the store was away.
	case waits := <-told:
		if !waits {
			return nil
		}
	case <-ctx.Done():
	}
	return store.ErrUnavailable
}

// saveAdded has the ends be written now that wait for the store and belong to a conversation. The error is that one waits still.
func (s *Service) saveAdded(ctx context.Context, owner, conversation string) error {
	for _, j := range s.allJobs() {
		if j.rec.conversation != conversation || j.rec.row.Owner != owner {
			continue
		}
		if err := j.saveNow(ctx); err != nil {
			return err
		}
	}
	return nil
}

// saveEvery is how often events are written down at most: the first after a silence at once. Each time costs the store a
// transaction, and a client here reads them from memory.
const saveEvery = 250 * time.Millisecond

// saveMax is how many events are written in one transaction.
const saveMax = 500

// saveEvents writes the journal's events to the store until it has ended and all are written. While the store is away
// it waits. It gives up when the response is gone, when somebody else has ended its events, and when the service is
// closed and the store still away.
//
// Sequence numbers have no gaps in the store: a batch is tried until it is stored before the next.
//
// It is a goroutine of its own so that a store that is slow does not slow the turn down, whose
// events are in memory meanwhile.
func (j *job) saveEvents() {
	saved, failures := 0, 0
	var last time.Time // when events were written
	for {
		// The number of an event is its index in the journal.
		events, ended, changed := j.journal.from(saved)
		if len(events) == 0 {
			if ended {
				return
			}
			<-changed
			j.pause(time.Until(last.Add(saveEvery)))
			continue
		}
		last = time.Now()
		n, err := j.save(saved, events[:min(len(events), saveMax)])
		saved += n
		switch {
		case n > 0:
			failures = 0
		case errors.Is(err, store.ErrNotFound):
			j.cancel(errDeleted)
			return
		case errors.Is(err, store.ErrConflict):
			return // another process has ended the response, and its events
		default:
			j.service.cfg.Log.Error("events of a background response could not be stored", "id", j.rec.row.ID, "err", err)
			failures++
			if _, open := j.retryPause(failures, nil); !open && failures > 1 {
				return // who reads from the store gets the end from the row
			}
		}
	}
}

// save stores events, of which the first has the sequence number first, and returns how many of them are stored. Some
// may be stored already, by an earlier try whose answer was lost.
func (j *job) save(first int, events [][]byte) (int, error) {
	ctx, cancel := context.WithTimeout(j.service.writes, storeTimeout)
	defer cancel()
	err := appendEvents(ctx, j.service.store, &j.rec.row, first, events)
	if err == nil {
		return len(events), nil
	}
	if !errors.Is(err, store.ErrConflict) {
		return 0, err
	}
	stored, readErr := j.service.store.ListEvents(ctx, j.rec.row.Owner, j.rec.row.ID, int64(first)-1, len(events))
	if readErr != nil {
		return 0, readErr
	}
	n := 0
	for n < len(stored) && stored[n].Sequence == int64(first+n) && bytes.Equal(stored[n].Data, events[n]) {
		// An event with the same number and other bytes is another process's: the batch stops
		// there.
		n++
	}
	return n, err
}

// pause waits for d, so that events gather, or less when the journal has ended: the last ones are written at once.
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
