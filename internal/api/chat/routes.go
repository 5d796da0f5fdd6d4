package chat

import (
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/known"
)

// Routes are the routes of chat completions, below the API's bases. turns carries out the turns. keeper keeps completions
// with store: true; nil keeps none. sent remembers messages; nil remembers none.
func Routes(turns agent.Turner, keeper Keeper, sent *known.Memory) []api.Route {
	h := &handlers{turns: turns, keeper: keeper, sent: sent}
	return []api.Route{
		{Pattern: "POST /chat/completions", Turn: true, Handle: h.complete},
	}
}

// handlers has no state of its own.
type handlers struct {
	turns agent.Turner
	// keeper stores completions that ask for it. sent remembers what was decoded.
	keeper Keeper
	sent   *known.Memory
}

// complete answers POST …/chat/completions. A turn that fails after the answer has begun has its error in the
// stream; httpd then only logs it.
//
// The body is read to its end first: net/http notices only then that the client has left.
func (h *handlers) complete(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := api.ReadBody(r)
	if err != nil {
		return err
	}
	req, err := Decode(body, h.sent.Of(call.Caller.Owner))
	api.Decoded(r)
	if err != nil {
		return err
	}
	if err := call.Fill(&req.Request); err != nil {
		return err
	}
	// From here on the answer is the encoder's: it writes on w, and nobody else may until Close.
	var encoder Encoder
	if req.store && h.keeper != nil {
		encoder = newKeepingEncoder(w, req, h.keeper)
	} else {
		encoder = NewEncoder(w, req, Options{})
	}
	defer encoder.Close()
	err = h.turns.Turn(r.Context(), &req.Request, encoder)
	// Told says that the client knows; httpd then writes no second error.
	if err != nil && encoder.Fail(agent.AsError(err)) {
		return &api.Told{Err: err}
	}
	return err
}
