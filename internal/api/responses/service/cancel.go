package service

import (
	"errors"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// cancel answers POST /responses/{id}/cancel with the response as it is afterwards. To cancel what has ended changes
// nothing.
func (s *Service) cancel(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	owner, id := call.Caller.Owner, r.PathValue("id")
	if j := s.job(store.ResponseRef{Owner: owner, ID: id}); j != nil {
		j.cancel(errCancelled)
		select {
		case <-j.done:
		case <-r.Context().Done():
			return &agent.Error{Code: agent.Canceled, Err: r.Context().Err()}
		}
	}
	for {
		row, err := s.load(r.Context(), owner, id)
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
		if object.Status.Ended() {
			return api.WriteJSON(w, row.Object)
		}
		// Another process works on it, and stops when it finds its row changed.
		err = s.settle(r.Context(), row, func(r *responses.Response) { r.Status = responses.Cancelled })
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return storeError(err)
		}
	}
}
