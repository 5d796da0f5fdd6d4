package httpd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// Requests whose run another replica holds. Which one that is is known once the surface has decoded the request, which is
// why the body is kept until then:
//
//	serve ──► handler ──► Call.Fill ──► Peers.Holder: here      the body is forgotten, the turn begins
//	                          │
//	                          └ held elsewhere: the handler returns, and the request is sent there as it came.
//	                            If that replica can't be reached, the handler is called again, and begins the turn here.
//
// Things that another replica has in its memory (api.Route.Held) are simpler: the handler doesn't find them, and has neither read
// nor written anything.

// Peers are the other replicas; package replica has the real ones. They may be used concurrently.
type Peers interface {
	// Holder returns the address of the replica that holds the run which waits for req; "" is this one, or none.
	Holder(ctx context.Context, req *agent.Request) (address string)
	// HolderOf returns the address of the replica that has something of owner's in its memory; "" is this one, or none.
	HolderOf(ctx context.Context, owner, id string) (address string)
	// Forward has r answered on w by the replica at an address. An error means that nothing was written to w.
	Forward(w http.ResponseWriter, r *http.Request, address string) error
}

// heldElsewhere is the error of Call.Fill that makes serve send the request to another replica.
type heldElsewhere struct{ address string }

// Error implements error. It is never shown.
func (e *heldElsewhere) Error() string { return "held by the replica at " + e.address }

// mayMove reports whether another replica may answer r: a turn with a body, that has not come from one.
func (s *Server) mayMove(r *http.Request, route api.Route) bool {
	return s.cfg.Peers != nil && route.Turn && r.Method == http.MethodPost && !fromPeer(r.Context())
}

// handleAnywhere calls the route's handler, or has another replica answer.
func (s *Server) handleAnywhere(w *response, r *http.Request, route api.Route, call *api.Call) error {
	kept := &keptBody{ReadCloser: r.Body}
	r.Body = kept
	call.Place = func(req *agent.Request) error {
		if address := s.cfg.Peers.Holder(r.Context(), req); address != "" {
			return &heldElsewhere{address}
		}
		kept.forget()
		return nil
	}
	err := route.Handle(w, r, call)
	var held *heldElsewhere
	if !errors.As(err, &held) || w.began() {
		return err
	}
	body := kept.data.Bytes()
	if s.cfg.Peers.Forward(w, withTrace(withBody(r, body), call.Origin.Trace), held.address) == nil {
		return nil
	}
	if err := r.Context().Err(); err != nil {
		return &agent.Error{Code: agent.Canceled, Err: err}
	}
	call.Place = nil
	return route.Handle(w, withBody(r, body), call)
}

// mayBeHeld reports whether another replica may have what the handler has not found.
func (s *Server) mayBeHeld(err error, w *response, r *http.Request, route api.Route) bool {
	return err != nil && agent.CodeOf(err) == agent.NotFound && s.cfg.Peers != nil && route.Held != "" && !w.began() && !fromPeer(r.Context())
}

// forwardToHolder has the replica answer that holds something, and reports whether it has.
func (s *Server) forwardToHolder(w *response, r *http.Request, owner, id string) bool {
	address := s.cfg.Peers.HolderOf(r.Context(), owner, id)
	return address != "" && s.cfg.Peers.Forward(w, r, address) == nil
}

// withBody is r as it was before its body was read, which is plain by now.
func withBody(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del("Content-Encoding")
	r.Header.Del("Content-Length")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return r
}

// withTrace is r with the span that it is sent from. Without one the client's own headers stay, as with any header.
func withTrace(r *http.Request, trace agent.Trace) *http.Request {
	trace.SetHeaders(r.Header)
	return r
}

// A keptBody keeps what was read of a body until it is forgotten. One goroutine uses it.
//
// The copy is not counted against the memory for bodies: it lives for as long as a look into the database takes.
type keptBody struct {
	io.ReadCloser
	data      bytes.Buffer
	forgotten bool
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
	if c, ok := b.ReadCloser.(interface{ Decoded() }); ok {
		c.Decoded()
	}
}

// forget releases what was kept.
func (b *keptBody) forget() { b.data, b.forgotten = bytes.Buffer{}, true }

// peerKey marks the context of a request that another replica has sent.
type peerKey struct{}

// fromPeer reports whether another replica has sent the request. It has to be answered here, and also while the server
// drains: the run that it continues is here.
func fromPeer(ctx context.Context) bool { return ctx.Value(peerKey{}) != nil }

// PeerHandler is the whole server for requests that other replicas send. Whoever mounts it sees to it that nobody else can
// reach it.
func (s *Server) PeerHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.http.Handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey{}, true)))
	})
}
