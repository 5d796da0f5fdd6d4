package completions

import (
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// Routes are the routes of legacy completions, below the API's bases. turns carries out the turns.
func Routes(turns agent.Turner) []api.Route {
	h := &handlers{turns}
	return []api.Route{
		{Pattern: "POST /completions", Turn: true, Handle: h.complete},
	}
}

// handlers has no state of its own.
type handlers struct{ turns agent.Turner }

// complete answers POST …/completions.
func (h *handlers) complete(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := api.ReadBody(r)
	if err != nil {
		return err
	}
	req, err := decode(body)
	api.Decoded(r)
	if err != nil {
		return err
	}
	if err := call.Fill(&req.all); err != nil {
		return err
	}
	return complete(w, req, options{}, func(turn *agent.Request, sink agent.Sink) error { return h.turns.Turn(r.Context(), turn, sink) })
}

// complete has run carry out the turns of req, one after the other, and answers on w. The first turn that fails ends it. The error
// is *api.Told when the client knows of it already.
//
// A stream that has begun can't get a status any more when a later prompt fails; its error is
// the last event then.
func complete(w http.ResponseWriter, req *request, opt options, run func(*agent.Request, agent.Sink) error) error {
	a := newAnswer(w, req, opt)
	defer a.close()
	var err error
	for i := range req.Prompts {
		if err = run(req.turn(i), a.choice(i)); err != nil {
			break
		}
	}
	if err == nil {
		err = a.end()
	}
	if err != nil && a.fail(agent.AsError(err)) {
		return &api.Told{Err: err}
	}
	return err
}
