package httpd

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// A base is a path below which every surface is mounted.
// The same surfaces stand below every base. A base only adds to the call what its path says, so a
// surface never knows under which it was asked.
type base struct {
	// path has no slash at its end.
	path     string
	upstream string // the backend that this base asks for
	hosted   bool   // takes only the hosted keys of {account}
	openCode bool   // is the reference system's for OpenCode: sessions keep their upstream id
	// referenceNames lists models under the names that the reference system gives them here, too.
	referenceNames bool
}

// pattern is the route's pattern with b's path before its own: "POST /v1/chat/completions".
func (b *base) pattern(r *api.Route) string {
	method, path, _ := strings.Cut(r.Pattern, " ")
	return method + " " + b.path + path
}

// bases are the paths below which the surfaces are mounted:
//
//	/v1                 the usual one
//	/u/{account}/v1     the same, for hosted keys of that account only
//	/opencodev2/v1      as in the reference system: the local agent, with pinned sessions
//	/opencode/v1        as in the reference system: the older chat endpoint, with pinned sessions
func (s *Server) bases() []base {
	return []base{
		{path: "/v1"},
		{path: "/u/{account}/v1", hosted: true},
		{path: "/opencodev2/v1", upstream: s.cfg.OpenCodeV2, openCode: true, referenceNames: true},
		{path: "/opencode/v1", upstream: s.cfg.OpenCode, openCode: true},
	}
}

// fixed are the routes outside the bases: the server's own, and those of the pages, of sign-up, of the admin API and of the
// status, which cli hands in (Config.Routes).
func (s *Server) fixed() []api.Route {
	return append([]api.Route{
		{Pattern: "GET /{$}", Open: true, Handle: s.root},
		{Pattern: "GET /u/{account}", Open: true, Handle: account},
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
	// The type assertion holds because observe is the outermost layer, and puts a *response before
	// everything.
	mux.HandleFunc(anything, func(w http.ResponseWriter, r *http.Request) { s.noRoute(w.(*response), r, mux) })
	return mux
}

// adapt makes an http.Handler of a route. It renders the error that serve returns.
func (s *Server) adapt(b base, route api.Route) http.Handler {
	endpoint := b.pattern(&route)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp := w.(*response)
		resp.route, resp.endpoint = route.Pattern, endpoint
		if err := s.serve(resp, r, b, route); err != nil {
			s.fail(resp, r, err)
		}
	})
}

// serve is everything that must hold before the route's handler is called, and the call. The order matters: what
// costs least is checked first, and the body is read only for a caller who may send one.
//
//	step              costs                     refuses with
//	draining          nothing                   503, unless another replica may take the turn
//	authenticate      a look into the store     401, 403
//	maxCost, origin   nothing                   400, 403
//	limits            a lock                    503
//	openBody          the headers of the body   413, 415
func (s *Server) serve(w *response, r *http.Request, b base, route api.Route) error {
	// Made before anything is checked: it costs nothing, and what follows only adds to it.
	call := &api.Call{
		Upstream: b.upstream, Session: session(r.Header), PinSession: b.openCode, ReferenceNames: b.referenceNames,
		Origin: agent.Origin{RequestID: w.Header().Get(requestIDHeader), Endpoint: w.endpoint, Received: w.received, Trace: w.trace},
	}
	draining := route.Turn && s.draining.Load() && !fromPeer(r.Context())
	if draining && !s.mayMove(r, route) {
		return agent.ErrShuttingDown
	}
	if !route.Open {
		caller, err := s.authenticate(r, b)
		if err != nil {
			return err
		}
		call.Caller = caller
	}
	var err error
	if call.MaxCostUSD, err = maxCost(r.Header); err != nil {
		return err
	}
	if err := s.checkOrigin(r, route); err != nil {
		return err
	}
	here := func() {}
	if route.Turn {
		leave, err := s.limits.enter(call.Caller.Owner)
		if err != nil {
			return err
		}
		defer leave()
		c := s.count(draining)
		defer c.end()
		here = c.here
	}
	release, err := s.openBody(w, r, route, call.Caller.Owner)
	if err != nil {
		return err
	}
	// The body's memory counts until the answer is over, because the parsed request refers to it.
	defer release()
	call.Within = func(ctx context.Context, message io.Reader) (io.Reader, func()) {
		m := s.budget.message(ctx, call.Caller.Owner, message)
		return m, m.grant.release
	}
	// A socket carries out several turns. Each is counted and refused as if it had come by itself:
	// with the limits and the key as they are then.
	call.Again = func(ctx context.Context) (*api.Call, func(), error) { return s.again(r.WithContext(ctx), b, call) }
	if s.mayMove(r, route) {
		return s.handleAnywhere(w, r, route, call, here)
	}
	if route.Turn && fromPeer(r.Context()) {
		call.Place = s.onlyIfHere(r.Context())
		call.Attempt = readAttempt(r.Header)
	}
	err = route.Handle(w, r, call)
	if s.mayBeHeld(err, w, r, route) && s.forwardToHolder(w, r, call, r.PathValue(route.Held)) {
		return nil
	}
	return err
}

// A counted turn is one of the turns that are under way, or one that passes this server. One goroutine uses it.
type counted struct {
	s *Server
	// passing says that it is one of those that pass, so that it is counted there.
	passing bool
}

// count counts a turn until end. passing says that it is one of another replica, unless here is called.
func (s *Server) count(passing bool) *counted {
	if passing {
		s.passing.Add(1)
	} else {
		s.turns.Add(1)
	}
	return &counted{s, passing}
}

// here says that the turn is carried out in this process. In the moment between it counts for both, so that whoever waits for
// none of either doesn't miss it.
func (c *counted) here() {
	if c.passing {
		c.s.turns.Add(1)
		c.s.passing.Add(-1)
		c.passing = false
	}
}

// end is called once.
func (c *counted) end() {
	if c.passing {
		c.s.passing.Add(-1)
	} else {
		c.s.turns.Add(-1)
	}
}

// again is api.Call's Again for the request r below b, whose first call was call. The caller of again calls the
// function that it returns when that turn is over.
func (s *Server) again(r *http.Request, b base, call *api.Call) (*api.Call, func(), error) {
	if s.draining.Load() {
		return nil, nil, agent.ErrShuttingDown
	}
	caller, err := s.authenticate(r, b)
	if err != nil {
		return nil, nil, err
	}
	within, err := s.limits.enter(caller.Owner)
	if err != nil {
		return nil, nil, err
	}
	c := s.count(false)
	// A copy: the first call may still be in use.
	next := *call
	next.Caller = caller
	next.Origin.Received = time.Now()
	return &next, func() { c.end(); within() }, nil
}

// sessionHeaders are the headers in which clients send the name of a conversation. If several are there, the first
// of these counts.
// The names of OpenCode come first, then Claude Code's, and then one that people set by hand.
var sessionHeaders = []string{"X-Session-Affinity", "X-Opencode-Session-Id", "X-Opencode-Session", "X-Claude-Code-Session-Id", "X-Session-Id"}

// maxSession is the longest name that is used, in bytes; a longer one is ignored.
const maxSession = 256

// session is the client's name of the conversation; "" when it sends none.
func session(h http.Header) string {
	for _, name := range sessionHeaders {
		if v := strings.TrimSpace(h.Get(name)); v != "" && len(v) <= maxSession {
			return v
		}
	}
	return ""
}

// maxCostHeader is what a conversation may cost, in US dollars.
const maxCostHeader = "X-Composer-Max-Cost"

// maxCost reads that header; 0 when there is none. Errors are *agent.Error.
func maxCost(h http.Header) (usd float64, err error) {
	value := strings.TrimSpace(h.Get(maxCostHeader))
	if value == "" {
		return 0, nil
	}
	// The condition is "not above 0", and not "0 or less", so that NaN is refused, too.
	usd, err = strconv.ParseFloat(value, 64)
	if err != nil || !(usd > 0) {
		return 0, agent.ParamError(agent.InvalidValue, strings.ToLower(maxCostHeader), "The header '%s' must be a number of US dollars above 0, such as 0.50.", strings.ToLower(maxCostHeader))
	}
	return usd, nil
}
