package httpd

import (
	"errors"
	"net/http"

	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// fail answers with err. When the answer has begun it is too late for that, and the connection is cut off, so that the
// client does not take a part for the whole.
func (s *Server) fail(w *response, err error) {
	w.err = err
	var told *api.Told
	if errors.As(err, &told) {
		return
	}
	if w.began() {
		panic(http.ErrAbortHandler)
	}
	s.closeWhenDraining(w)
	openai.WriteError(w, err)
}

// closeWhenDraining makes the client open its next connection elsewhere.
func (s *Server) closeWhenDraining(w *response) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}
