package httpd

import (
	"net/http"
	"time"

	"composer-api/internal/agent"
)

// errDraining is what new turns are told while the server shuts down.
var errDraining = &agent.Error{Code: agent.Overloaded, Message: "The server is shutting down. Please try again.", RetryAfter: time.Second}

type health struct {
	Status string `json:"status"`
}

// healthz says that the process is alive.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ *Call) error {
	return writeJSON(w, http.StatusOK, health{"ok"})
}

// readyz says whether new turns should be sent here.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, _ *Call) error {
	if s.draining.Load() {
		return errDraining
	}
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(r.Context()); err != nil {
			return &agent.Error{Code: agent.Overloaded, Message: "The server is not ready.", Err: err}
		}
	}
	return writeJSON(w, http.StatusOK, health{"ok"})
}
