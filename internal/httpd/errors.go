package httpd

import (
	"errors"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// fail answers with err. When the answer has begun it is too late for that, and the connection is cut off, so that the
// client does not take a part for the whole.
func (s *Server) fail(w *response, err error) {
	w.err = err
	var told *told
	if errors.As(err, &told) {
		return
	}
	if w.began() {
		panic(http.ErrAbortHandler)
	}
	s.closeWhenDraining(w)
	openai.WriteError(w, err)
}

// methodNotAllowed is fail for the one status that no code stands for.
func (s *Server) methodNotAllowed(w *response, e *agent.Error) {
	w.err = e
	s.closeWhenDraining(w)
	writeBody(w, http.StatusMethodNotAllowed, append(openai.AppendError(nil, e), '\n'))
}

// closeWhenDraining makes the client open its next connection elsewhere.
func (s *Server) closeWhenDraining(w *response) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}

// A told error has been reported to the client already, in its stream. It is for the log only.
type told struct{ error }

func (t *told) Unwrap() error { return t.error }
