package httpd

import (
	"net/http"
	"strings"

	"composer-api/internal/agent"
)

// A Route is one line of the routing table.
type Route struct {
	// Pattern is a method and a path, as http.ServeMux takes them: "GET /v1/models/{id...}".
	Pattern string
	// Open routes need no key.
	Open bool
	// Turn routes start a turn: they are refused while the server shuts down, and count for the limits.
	Turn bool
	// Handle answers. An error that it returns before it has written anything is rendered by the caller; afterwards
	// it ends the connection, unless it is an openai.Told. The body, if any, is JSON of bounded size, decompressed;
	// reading it fails with *agent.Error.
	Handle Handler
}

// below is the route's pattern with its path below b.
func (r *Route) below(b base) string {
	method, path, _ := strings.Cut(r.Pattern, " ")
	return method + " " + b.path + path
}

// A Handler answers a request, or returns an error for somebody else to render.
type Handler func(w http.ResponseWriter, r *http.Request, call *Call) error

// A Call is what is known of a request before its surface reads it.
type Call struct {
	// Caller is who asks; zero on an open route.
	Caller agent.Caller
	// Upstream is the backend that the path asks for; "" is the default.
	Upstream string
	// Session is the client's name for the conversation; "" when it sent none.
	Session string

	// PinSession asks that the session keeps its upstream conversation id; see agent.Request.
	PinSession bool

	base base
}

// Fill writes what the call knows into req.
func (c *Call) Fill(req *agent.Request) {
	req.Caller, req.Upstream, req.Session, req.PinSession = c.Caller, c.Upstream, c.Session, c.PinSession
}

// A base is a path below which the surfaces lie.
type base struct {
	path     string
	upstream string // the backend that this base asks for
	hosted   bool   // takes only the hosted keys of {account}
	openCode bool   // is the reference system's for OpenCode: sessions keep their upstream id
	sdkModel bool   // lists the model under the name that the reference gives it here
}

// bases are where the surfaces are found.
func (s *Server) bases() []base {
	return []base{
		{path: "/v1"},
		{path: "/u/{account}/v1", hosted: true},
		{path: "/opencodev2/v1", upstream: s.cfg.OpenCodeV2, openCode: true, sdkModel: true},
		{path: "/opencode/v1", upstream: s.cfg.OpenCode, openCode: true},
	}
}

// surfaces are the routes below every base.
func (s *Server) surfaces() []Route {
	return append([]Route{
		{Pattern: "POST /chat/completions", Turn: true, Handle: s.chatCompletions},
		{Pattern: "GET /models", Handle: s.listModels},
		{Pattern: "GET /models/{id...}", Handle: s.getModel},
	}, s.cfg.Surfaces...)
}

// fixed are the routes outside the bases.
func (s *Server) fixed() []Route {
	return append([]Route{
		{Pattern: "GET /healthz", Open: true, Handle: s.healthz},
		{Pattern: "GET /readyz", Open: true, Handle: s.readyz},
	}, s.cfg.Extra...)
}

// routes builds the router.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, b := range s.bases() {
		for _, r := range s.surfaces() {
			mux.Handle(r.below(b), s.adapt(b, r))
		}
	}
	for _, r := range s.fixed() {
		mux.Handle(r.Pattern, s.adapt(base{}, r))
	}
	mux.HandleFunc(anything, func(w http.ResponseWriter, r *http.Request) { s.noRoute(w.(*response), r, mux) })
	return mux
}

// adapt runs a route: everything that must hold before its handler is called, and its error after.
func (s *Server) adapt(b base, route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp := w.(*response)
		resp.route = route.Pattern
		if err := s.serve(resp, r, b, route); err != nil {
			s.fail(resp, err)
		}
	})
}

func (s *Server) serve(w *response, r *http.Request, b base, route Route) error {
	call := &Call{Upstream: b.upstream, Session: session(r.Header), PinSession: b.openCode, base: b}
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
	if route.Turn {
		leave, err := s.limits.enter(call.Caller.Owner)
		if err != nil {
			return err
		}
		defer leave()
		r = withOrigin(r, origin{requestID: w.Header().Get(requestIDHeader), route: route.below(b)})
	}
	if err := s.openBody(w, r); err != nil {
		return err
	}
	return route.Handle(w, r, call)
}

// sessionHeaders are what clients call the name of a conversation, the most telling first.
var sessionHeaders = []string{"X-Session-Affinity", "X-Opencode-Session-Id", "X-Opencode-Session", "X-Session-Id"}

const maxSession = 256

func session(h http.Header) string {
	for _, name := range sessionHeaders {
		if v := strings.TrimSpace(h.Get(name)); v != "" && len(v) <= maxSession {
			return v
		}
	}
	return ""
}
