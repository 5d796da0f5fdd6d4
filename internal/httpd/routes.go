package httpd

import (
	"context"
	"net/http"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// A base is a path below which every surface lies.
type base struct {
	path     string
	upstream string // the backend that this base asks for
	hosted   bool   // takes only the hosted keys of {account}
	openCode bool   // is the reference system's for OpenCode: sessions keep their upstream id
	// referenceNames lists models under the names that the reference system gives them here, too.
	referenceNames bool
}

// pattern is the route's pattern with its path below b.
func (b *base) pattern(r *api.Route) string {
	method, path, _ := strings.Cut(r.Pattern, " ")
	return method + " " + b.path + path
}

// bases are where the surfaces are found.
func (s *Server) bases() []base {
	return []base{
		{path: "/v1"},
		{path: "/u/{account}/v1", hosted: true},
		{path: "/opencodev2/v1", upstream: s.cfg.OpenCodeV2, openCode: true, referenceNames: true},
		{path: "/opencode/v1", upstream: s.cfg.OpenCode, openCode: true},
	}
}

// fixed are the routes outside the bases.
func (s *Server) fixed() []api.Route {
	return append([]api.Route{
		{Pattern: "GET /{$}", Open: true, Handle: root},
		{Pattern: "GET /u/{account}", Open: true, Handle: root},
		{Pattern: "GET /healthz", Open: true, Handle: s.healthz},
		{Pattern: "GET /readyz", Open: true, Handle: s.readyz},
	}, s.cfg.Routes...)
}

// routes builds the router.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, b := range s.bases() {
		for _, r := range s.cfg.Surfaces {
			mux.Handle(b.pattern(&r), s.adapt(b, r))
		}
	}
	for _, r := range s.fixed() {
		mux.Handle(r.Pattern, s.adapt(base{}, r))
	}
	mux.HandleFunc(anything, func(w http.ResponseWriter, r *http.Request) { s.noRoute(w.(*response), r, mux) })
	return mux
}

// adapt runs a route: everything that must hold before its handler is called, and its error after.
func (s *Server) adapt(b base, route api.Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp := w.(*response)
		resp.route = route.Pattern
		if err := s.serve(resp, r, b, route); err != nil {
			s.fail(resp, r, err)
		}
	})
}

func (s *Server) serve(w *response, r *http.Request, b base, route api.Route) error {
	call := &api.Call{
		Upstream: b.upstream, Session: session(r.Header), PinSession: b.openCode, ReferenceNames: b.referenceNames,
		Origin: agent.Origin{RequestID: w.Header().Get(requestIDHeader), Endpoint: b.pattern(&route)},
	}
	if route.Turn && s.draining.Load() {
		return errDraining
	}
	if !route.Open {
		caller, err := s.authenticate(r, b)
		if err != nil {
			return err
		}
		call.Caller = caller
	}
	if err := s.checkOrigin(r, route); err != nil {
		return err
	}
	if route.Turn {
		leave, err := s.limits.enter(call.Caller.Owner)
		if err != nil {
			return err
		}
		defer leave()
	}
	if err := s.openBody(w, r); err != nil {
		return err
	}
	call.Again = func(ctx context.Context) (*api.Call, func(), error) { return s.again(r.WithContext(ctx), b, call) }
	return route.Handle(w, r, call)
}

// again is api.Call's Again for the request r below b, whose first call was call.
func (s *Server) again(r *http.Request, b base, call *api.Call) (*api.Call, func(), error) {
	if s.draining.Load() {
		return nil, nil, errDraining
	}
	caller, err := s.authenticate(r, b)
	if err != nil {
		return nil, nil, err
	}
	leave, err := s.limits.enter(caller.Owner)
	if err != nil {
		return nil, nil, err
	}
	next := *call
	next.Caller = caller
	return &next, leave, nil
}

// sessionHeaders are what clients call the name of a conversation, the most telling first.
var sessionHeaders = []string{"X-Session-Affinity", "X-Opencode-Session-Id", "X-Opencode-Session", "X-Claude-Code-Session-Id", "X-Session-Id"}

const maxSession = 256

func session(h http.Header) string {
	for _, name := range sessionHeaders {
		if v := strings.TrimSpace(h.Get(name)); v != "" && len(v) <= maxSession {
			return v
		}
	}
	return ""
}
