package service

import (
	"context"
	"errors"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/openai"
	"composer-api/internal/store"
)

// Routes are the routes of the Responses API, below the API's bases (/v1 and others). Turn marks those that ask a
// model: they count against the limits on concurrent requests. A WebSocket counts once for each of its turns, so its
// route doesn't (see socket.turn).
func (s *Service) Routes() []api.Route {
	conversations := s.conversations()
	return []api.Route{
		{Pattern: "POST /responses", Turn: true, Handle: s.create},
		{Pattern: "GET /responses", Handle: s.connect},
		{Pattern: "POST /responses/input_tokens", Handle: s.countTokens},
		{Pattern: "POST /responses/compact", Turn: true, Handle: s.compact},
		// A background response that isn't stored is in the memory of the replica that runs it.
		{Pattern: "GET /responses/{id}", Held: "id", Handle: s.retrieve},
		{Pattern: "DELETE /responses/{id}", Held: "id", Handle: s.remove},
		{Pattern: "GET /responses/{id}/input_items", Held: "id", Handle: s.inputItems},
		{Pattern: "POST /responses/{id}/cancel", Held: "id", Handle: s.cancel},

		{Pattern: "POST /conversations", Handle: conversations.create},
		{Pattern: "GET /conversations/{id}", Handle: conversations.get},
		{Pattern: "POST /conversations/{id}", Handle: conversations.update},
		{Pattern: "DELETE /conversations/{id}", Handle: conversations.remove},
		{Pattern: "POST /conversations/{id}/items", Handle: conversations.addItems},
		{Pattern: "GET /conversations/{id}/items", Handle: conversations.listItems},
		{Pattern: "GET /conversations/{id}/items/{item}", Handle: conversations.getItem},
		{Pattern: "DELETE /conversations/{id}/items/{item}", Handle: conversations.deleteItem},
	}
}

// notFound is the error for a response that doesn't exist for the caller. What belongs to others gets the same words:
// whether an id exists is their secret.
func notFound(id string) error {
	return agent.Errorf(agent.NotFound, "Response with id '%s' not found. It may have expired or been deleted, or it was made with 'store': false or with another key.", openai.Clip(id))
}

// storeError is the store's error as the client gets it. store.ErrNotFound and ErrConflict mean something else for each
// caller, who looks for them before.
//
// A store that is away is no fault of ours: the client is told to try again, and which requests
// work without it.
func storeError(err error) error {
	switch {
	case kept.IsUnavailable(err):
		return &agent.Error{
			Code: agent.Overloaded, RetryAfter: storeRetryAfter, Err: err,
			Message: "Stored responses can't be reached at the moment. Requests with 'store': false and without 'previous_response_id' still work.",
		}
	case errors.Is(err, context.Canceled):
		return &agent.Error{Code: agent.Canceled, Err: err}
	case errors.Is(err, store.ErrTooLarge):
		return &agent.Error{Code: agent.TooLarge, Message: "The request is too large to be stored. Send it with 'store': false.", Err: err}
	}
	return &agent.Error{Code: agent.Internal, Err: err}
}

// storeRetryAfter is when to ask again after the store was away.
const storeRetryAfter = 5 * time.Second
