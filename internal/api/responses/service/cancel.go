package service

import (
	"context"
	"errors"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// cancel answers POST /responses/{id}/cancel with the response as it is afterwards. To cancel what has ended changes
// nothing, and is no error.
//
// A job of this process is stopped, and shown as it ended, also while that waits for a store that is away (decision 100). For a
// job of another process the row is changed; that process is told by the store, or finds out when it renews its leases. When
// both change it at once, one gets store.ErrConflict: hence the loop, which ends at the latest when the response has ended by
// itself.
//
//	the response                    what happens
//	has a job here                  it is stopped, and its end is awaited
//	runs elsewhere                  its row is ended; its process notices
//	has ended                       nothing; it is shown
//	is no background response       an error: its connection is the way to end it
func (s *Service) cancel(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	ref := store.ResponseRef{Owner: call.Caller.Owner, ID: r.PathValue("id")}
	// By the caller's owner: a job of another owner isn't found here, and its row isn't found
	// below.
	if j := s.job(ref); j != nil {
		if err := j.stop(r.Context()); err != nil {
			return err
		}
	}
	for {
		row, err := s.load(r.Context(), ref.Owner, ref.ID)
		if err != nil {
			return err
		}
		object, err := responses.DecodeResponse(row.Object)
		if err != nil {
			return &agent.Error{Code: agent.Internal, Err: err}
		}
		if !object.Background {
			return agent.Errorf(agent.InvalidValue, "Only responses with 'background': true can be cancelled. To end another, close its connection.")
		}
		// It may have completed before the cancellation reached it. The client sees which of the
		// two it was.
		if object.Status.Ended() {
			return api.WriteJSON(w, row.Object)
		}
		err = s.cancelElsewhere(r.Context(), row)
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return storeError(err)
		}
	}
}

// stop cancels the job and waits until its turn has ended. How it ended is then in the store, or waits for it in unsaved: row knows.
// It may be called by several at once. The error is that the caller has left.
func (j *job) stop(ctx context.Context) error {
	j.cancel(errCancelled)
	select {
	case <-j.turned:
		return nil
	case <-ctx.Done():
		return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
	}
}

// cancelElsewhere cancels a response that another process works on. That stops when it finds its row changed.
func (s *Service) cancelElsewhere(ctx context.Context, row store.Response) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	// settle writes the row with the revision that was read, so it fails with ErrConflict when the
	// other process was faster.
	first, rest, err := s.settle(ctx, row, func(r *responses.Response) { r.Status = responses.Cancelled })
	if err != nil {
		return err
	}
	if err := appendEvents(ctx, s.store, &row, first, rest); err != nil {
		// The other process has gone on meanwhile, and ends its events itself. Else whoever follows the stream makes up
		// for it.
		s.cfg.Log.Info("the end of a cancelled response could not be added to its events", "id", row.ID, "err", err)
	}
	return nil
}
