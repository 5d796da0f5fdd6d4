package httpd

import (
	"encoding/json"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// What a load balancer and a person ask first: is anybody there, and may requests be sent here.

// health is the body of both health routes.
type health struct {
	Status string `json:"status"` // "ok" or "unavailable"
	// Store is "ok" or "unavailable"; absent when nobody asked.
	Store string `json:"store,omitempty"`
	// Upstream is "ok", "unreachable" or "not_configured"; absent when nobody asked.
	Upstream string `json:"upstream,omitempty"`
}

// home is what stands at the root.
type home struct {
	// Name is "composer-api": 'doctor' knows a gateway by it.
	Name   string `json:"name"`
	Status string `json:"status"`
}

// root answers GET /: with a page for a browser, if there is one.
func (s *Server) root(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	if s.cfg.Home == nil {
		return account(w, r, call)
	}
	// A cache must not give a program the page, or a browser the JSON.
	w.Header().Add("Vary", "Accept")
	if !api.PrefersHTML(r) {
		return account(w, r, call)
	}
	return s.cfg.Home(w, r, call)
}

// account answers whoever looks whether there is anybody at a base URL: Claude Code sends HEAD before it begins. It says the
// same for every account, whether there is one or not.
func account(w http.ResponseWriter, _ *http.Request, _ *api.Call) error {
	return writeJSON(w, home{Name: "composer-api", Status: "ok"})
}

// healthz answers GET /healthz: the process is alive. It is 200 also while draining.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ *api.Call) error {
	return writeJSON(w, health{Status: "ok"})
}

// readyz says whether new turns should be sent here. Without its upstream no turn can be carried out, so it counts. A
// store that doesn't answer is told but does not count: whoever brings a Cursor key of their own is served without it,
// and every replica would leave the load balancer at once. Decision 23 has the reasons.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	// From here on a load balancer sends nothing more, while turns in progress go on.
	if s.draining.Load() {
		return agent.ErrShuttingDown
	}
	ready := health{Status: "ok"}
	if s.cfg.PingStore != nil {
		ready.Store = "ok"
		if err := s.cfg.PingStore(r.Context()); err != nil {
			s.cfg.Log.Warn("the store does not answer", "err", err)
			ready.Store = "unavailable"
		}
	}
	if s.cfg.PingUpstream != nil {
		ready.Upstream = "ok"
		if err := s.cfg.PingUpstream(r.Context()); err != nil {
			ready.Status, ready.Upstream = "unavailable", "unreachable"
			// There is nobody to reach: a server whose accounts bring their keys, or one that was
			// never set up.
			if agent.CodeOf(err) == agent.NotConfigured {
				ready.Upstream = "not_configured"
			}
		}
	}
	// The body says which part is missing; the status is what load balancers read.
	if ready.Status != "ok" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		return json.NewEncoder(w).Encode(ready)
	}
	return writeJSON(w, ready)
}

// writeJSON answers with v, which encoding/json can always encode.
func writeJSON(w http.ResponseWriter, v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, doc)
}
