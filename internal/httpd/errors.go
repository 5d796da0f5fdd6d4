package httpd

import (
	"errors"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// fail answers r with err, in the form that r's client expects. When the answer has begun it is too late for that, and
// the connection is cut off, so that the client does not take a part for the whole. An api.Told was reported in the
// stream already.
//
//	the answer            then
//	has not begun         the error, in OpenAI's form or another (ErrorForms)
//	has not begun, and    421 without a body, when the server is ending: the replica
//	r is from a replica   carries r out itself (Peers.Forward)
//	has begun, Told       nothing: the client knows
//	has begun             the connection is cut off
func (s *Server) fail(w *response, r *http.Request, err error) {
	w.err = err
	var told *api.Told
	if errors.As(err, &told) {
		return
	}
	if w.began() {
		panic(http.ErrAbortHandler)
	}
	if fromPeer(r.Context()) && errors.Is(err, agent.ErrShuttingDown) {
		w.WriteHeader(http.StatusMisdirectedRequest)
		return
	}
	s.closeWhenDraining(w)
	for _, form := range s.cfg.ErrorForms {
		if form.Fits(r) {
			form.Write(w, r, err)
			return
		}
	}
	openai.WriteError(w, err)
}

// closeWhenDraining makes the client open a new connection for its next request, which a load balancer sends
// to another replica.
func (s *Server) closeWhenDraining(w *response) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}
