package httpd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// Requests that another replica answers: because it holds the run, or because this one is about to end. Whether that is so is
// known once the surface has decoded the request, which is why the body is kept until then:
//
//	serve ──► handler ──► Call.Fill ──► Peers.Holder: here      the body is forgotten, the turn begins
//	                          │
//	                          ├ held elsewhere: the handler returns, and the request is sent there as it came.
//	                          │ If that replica can't be reached, the handler is called again, and begins the turn here.
//	                          │
//	                          └ held nowhere, and this server drains: the same, to a replica that takes new turns
//	                            (Peers.Open), or the next one, or 503. It never begins here.
//
// What has come from a replica is never sent on, so no request goes in circles. It is carried out here, or, while this server drains
// and no run here waits for it, given back with 421 (Misdirected Request): its sender goes on as if it had not reached this one. So
// is all that has come from a replica and is refused because this server ends.
//
// Things that another replica has in its memory (api.Route.Held) are simpler: the handler doesn't find them, and has neither read
// nor written anything.

// Peers are the other replicas; package replica has the real ones. They may be used concurrently.
type Peers interface {
	// Holder returns the address of the replica that holds the run which waits for req; here says that it is this one. "" and
	// not here is none.
	Holder(ctx context.Context, req *agent.Request) (address string, here bool)
	// HolderOf returns the address of the replica that has something of owner's in its memory; "" is this one, or none.
	HolderOf(ctx context.Context, owner, id string) (address string)
	// Open returns the address of a replica that takes new turns, if possible one that could be reached just now; "" is none.
	Open(ctx context.Context) (address string)
	// Forward has r answered on w by the replica at an address. An error means that nothing was written to w: that replica was
	// not reached, or has given r back with status 421.
	Forward(w http.ResponseWriter, r *http.Request, address string) error
}

// The reasons why a request is answered by another replica.
const (
	MovedHeld     = "held"     // the other one has what the request is about
	MovedDraining = "draining" // this one is about to end
)

// answeredElsewhere is the error of Call.Fill that makes serve send the request to another replica.
type answeredElsewhere struct{ address, why string }

// Error implements error. It is never shown.
func (e *answeredElsewhere) Error() string { return "answered by the replica at " + e.address }

// mayMove reports whether another replica may answer r: a turn with a body, that has not come from one.
func (s *Server) mayMove(r *http.Request, route api.Route) bool {
	return s.cfg.Peers != nil && route.Turn && r.Method == http.MethodPost && !fromPeer(r.Context())
}

// handleAnywhere calls the route's handler, or has another replica answer. here is called when the turn begins in this process.
func (s *Server) handleAnywhere(w *response, r *http.Request, route api.Route, call *api.Call, here func()) error {
	kept := &keptBody{ReadCloser: r.Body}
	r.Body = kept
	call.Place = func(req *agent.Request) error {
		address, isHere := s.cfg.Peers.Holder(r.Context(), req)
		switch {
		case address != "":
			return &answeredElsewhere{address, MovedHeld}
		case !isHere && s.draining.Load():
			return s.moveOn(r)
		}
		here()
		kept.forget()
		return nil
	}
	err := route.Handle(w, r, call)
	// A replica that can't be reached is asked again only when there is no other.
	for range maxMoves {
		var to *answeredElsewhere
		if !errors.As(err, &to) || w.began() {
			return err
		}
		if call.Attempt.Name == "" {
			call.Attempt.Name = agent.NewID("", 24)
		}
		out := withBody(r, kept.data.Bytes())
		writeAttempt(out.Header, call.Attempt)
		if s.forward(w, out, call, to) {
			return nil
		}
		call.Attempt.Again = true
		if err := r.Context().Err(); err != nil {
			return &agent.Error{Code: agent.Canceled, Err: err}
		}
		if !s.draining.Load() {
			here()
			call.Place = nil
			return route.Handle(w, withBody(r, kept.data.Bytes()), call)
		}
		err = s.moveOn(r)
	}
	return agent.ErrShuttingDown
}

// attemptHeader tells another replica of api.Attempt: its name, and attemptAgain behind it. What a client sends there is not read.
const (
	attemptHeader = "X-Composer-Attempt"
	attemptAgain  = " again"
)

func writeAttempt(h http.Header, a api.Attempt) {
	value := a.Name
	if a.Again {
		value += attemptAgain
	}
	h.Set(attemptHeader, value)
}

func readAttempt(h http.Header) api.Attempt {
	name, again := strings.CutSuffix(h.Get(attemptHeader), attemptAgain)
	return api.Attempt{Name: name, Again: again}
}

// maxMoves is how many replicas a request is sent to at most until one takes it.
const maxMoves = 3

// onlyIfHere is the Place of a turn that another replica has sent: while this server drains, it is refused unless a run here
// waits for it. The sender has sent it to the holder of the run, which may have given the run up, or has not known yet that
// this server drains. A turn that began here would have little time.
func (s *Server) onlyIfHere(ctx context.Context) func(*agent.Request) error {
	return func(req *agent.Request) error {
		if !s.draining.Load() {
			return nil
		}
		if _, here := s.cfg.Peers.Holder(ctx, req); !here {
			return agent.ErrShuttingDown
		}
		return nil
	}
}

// moveOn says where a new turn goes that this server does not take any more: answeredElsewhere, or agent.ErrShuttingDown. The key that the
// server lends is good here alone.
func (s *Server) moveOn(r *http.Request) error {
	if lent, _ := s.cfg.Local.lends(bearer(r.Header)); lent {
		return agent.ErrShuttingDown
	}
	if address := s.cfg.Peers.Open(r.Context()); address != "" {
		return &answeredElsewhere{address, MovedDraining}
	}
	return agent.ErrShuttingDown
}

// forward has the replica answer, and reports whether it has. The request keeps its id and is part of its trace there.
func (s *Server) forward(w *response, r *http.Request, call *api.Call, to *answeredElsewhere) bool {
	r.Header.Set(requestIDHeader, call.Origin.RequestID)
	call.Origin.Trace.SetHeaders(r.Header) // without a span the client's own headers stay
	s.closeWhenDraining(w)
	w.moved = to
	if s.cfg.Peers.Forward(w, r, to.address) != nil {
		w.moved = nil
		return false
	}
	return true
}

// mayBeHeld reports whether another replica may have what the handler has not found.
func (s *Server) mayBeHeld(err error, w *response, r *http.Request, route api.Route) bool {
	return err != nil && agent.CodeOf(err) == agent.NotFound && s.cfg.Peers != nil && route.Held != "" && !w.began() && !fromPeer(r.Context())
}

// forwardToHolder has the replica answer that holds something, and reports whether it has.
func (s *Server) forwardToHolder(w *response, r *http.Request, call *api.Call, id string) bool {
	address := s.cfg.Peers.HolderOf(r.Context(), call.Caller.Owner, id)
	return address != "" && s.forward(w, r.Clone(r.Context()), call, &answeredElsewhere{address, MovedHeld})
}

// withBody is r as it was before its body was read, which is plain by now.
func withBody(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del("Content-Encoding")
	r.Header.Del("Content-Length")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return r
}

// A keptBody keeps what was read of a body until it is forgotten. One goroutine uses it.
//
// The body has its share of the memory for bodies until then: when it is sent to another replica, until that has answered.
type keptBody struct {
	io.ReadCloser
	// data is what was read so far.
	data bytes.Buffer
	// forgotten says that nothing more is kept: the request stays here. decoded says that its JSON was read.
	forgotten bool
	decoded   bool
}

// Read implements io.Reader.
func (b *keptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.forgotten {
		b.data.Write(p[:n])
	}
	return n, err
}

// Decoded is for api.Decoded.
func (b *keptBody) Decoded() {
	b.decoded = true
	b.tellDecoded()
}

// tellDecoded passes Decoded on when both hold: the body was decoded, and it is forgotten.
func (b *keptBody) tellDecoded() {
	if !b.decoded || !b.forgotten {
		return
	}
	if c, ok := b.ReadCloser.(interface{ Decoded() }); ok {
		c.Decoded()
	}
}

// forget releases what was kept.
func (b *keptBody) forget() {
	b.data, b.forgotten = bytes.Buffer{}, true
	b.tellDecoded()
}

// peerKey marks the context of a request that another replica has sent.
type peerKey struct{}

// fromPeer reports whether another replica has sent the request. It is answered also while the server drains, because the run that
// it continues may be here: see onlyIfHere.
func fromPeer(ctx context.Context) bool { return ctx.Value(peerKey{}) != nil }

// PeerHandler is the whole server for requests that other replicas send. Whoever mounts it sees to it that nobody else can
// reach it.
func (s *Server) PeerHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.http.Handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey{}, true)))
	})
}
