package cursorsim

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/sim/script"
)

// One stream from its request to its end, for both transports. The order of a run's end: what went wrong
// is an error of play; endOf gives it a name; finish records that and then lets the wire say it.

// runHTTP2 serves the stream as one HTTP/2 request, which both sides write at the same time: the request
// body has the client's messages, the response body the server's. HTTP/1.1 can't do that, so it is
// refused with a status.
func (s *Sim) runHTTP2(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 {
		writeConnectError(w, http.StatusHTTPVersionNotSupported, "unimplemented", "the stream needs HTTP/2; over HTTP/1.1 use RunSSE")
		return
	}
	in := newInbox()
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		in.readAll(r.Body)
	}()
	// The reader must not outlive the handler; closing the body ends it.
	defer func() { r.Body.Close(); <-reading }()
	s.serveRun(w, r, "http2", r.Header.Get("X-Request-Id"), in)
}

// serveRun plays one stream to its end, on the goroutine of its request: it records, checks the header
// and the token, and plays. It is the same for both transports; they differ in how messages come into
// in, and in where the request id is.
//
// It returns when the client has got everything, or panics to break the connection (finish).
func (s *Sim) serveRun(w http.ResponseWriter, r *http.Request, transport, requestID string, in *inbox) {
	rec := &Run{Transport: transport, Path: r.URL.Path, Header: publicHeader(r.Header), RequestID: requestID}
	if key := r.Header.Get("X-Blob-Encryption-Key"); key != "" {
		rec.BlobKey = hashOf(key)
	}
	// Checked at the beginning. A token that ends while the stream lives does it no harm.
	keyHash, authorized := s.tokens.check(bearer(r))
	rec.KeyHash = keyHash
	fresh := s.journal.add(rec)

	p := s.newRun(r.Context(), rec, in, r.Header, newWire(w, r))
	if s.config.Seed != 0 {
		p.wire.misbehave(rand.New(rand.NewPCG(s.config.Seed, uint64(rec.Seq))))
	}
	if !fresh {
		p.violation("x-request-id %s was used before", requestID)
	}
	p.checkHeader()
	err := errUnauthenticated
	if authorized {
		err = p.play(w)
	}
	p.finish(w, err)
}

// newRun makes a run and its parts, all of which write to the same wire and the same record.
// What is set only by the run request, such as the player, is nil in it.
func (s *Sim) newRun(ctx context.Context, rec *Run, in *inbox, header http.Header, wire *wire) *run {
	n := notes{journal: s.journal, rec: rec}
	now := time.Now()
	p := &run{
		notes: n, sim: s, ctx: ctx, in: in, header: header, started: now, wire: wire,
		updates: &updates{notes: n, wire: wire, started: now},
		blobs:   &blobs{notes: n, wire: wire, open: map[uint32]func(*kvAnswer){}},
		queries: &queries{notes: n, wire: wire, open: map[uint32]string{}},
	}
	p.execs = &execs{
		notes: n, wire: wire, byID: map[uint32]*exec{}, byCall: map[int]*exec{},
		// Calls are asked only after there is a player.
		result: func(call int, r script.Result) { p.player.Result(call, r) },
	}
	return p
}

// errUnauthenticated is how a stream ends whose token is not valid: an HTTP 200 whose only frame is the
// error, as Connect streams do.
var errUnauthenticated error = &endError{Code: "unauthenticated", Message: "the access token is not valid"}

// Why a run does not end well. There are two more kinds: *endError blames the client, and a
// scriptError or *statusError is what the script asked for. See endOf for how each is recorded.
var (
	errLeft    = errors.New("the client left")
	errCut     = errors.New("cut")
	errDrop    = errors.New("drop")
	errGarbage = errors.New("garbage")
	errCancel  = errors.New("the client canceled")
)

// statusError ends a run, before its stream begins, with an HTTP status. Its Message is for the client.
type statusError struct{ script.Status }

func (e *statusError) Error() string { return http.StatusText(e.Code) }

// scriptError is an end that the script asked for. An endError that is not wrapped in one is the
// client's fault.
type scriptError struct{ *endError }

// finish judges the run, records its end, and only then tells the client: a test that has seen the end
// of the answer finds it recorded.
//
// A cut is a panic with http.ErrAbortHandler, with which net/http resets the stream or closes the
// connection.
func (p *run) finish(w http.ResponseWriter, err error) {
	end := endOf(err)
	if end == EndedWell && p.ctx.Err() != nil {
		end = EndedLeft
	}
	// Before the end is recorded, so that what it finds is in the record.
	p.checkEnd(end)
	failed := p.failed()
	p.record(func(r *Run) {
		r.Ended, r.End, r.Failures = time.Now(), end, failed
		if err != nil {
			r.Error = err.Error()
		}
	})
	p.sim.config.Log.Info("run", "run", p.rec.Seq, "end", end, "model", p.rec.Model, "tools", len(p.rec.Tools), "error", err)
	// Whether this fails doesn't matter: a client that resets the stream as soon as it has read the end frame can make
	// the flush of that very frame fail.
	_ = p.wire.finish(w, end, err)
	p.awaitHalfClose()
	if end == EndedCut {
		panic(http.ErrAbortHandler)
	}
}

// halfCloseWait is how long a compressed stream is kept open after its end frame, at most.
const halfCloseWait = time.Second

// awaitHalfClose waits for the client to end its side of a compressed stream. When a handler returns
// before that, net/http resets the stream, and Node's client then throws away what it has received but
// not decompressed yet: Cursor's SDK loses the end of a compressed answer.
func (p *run) awaitHalfClose() {
	if p.rec.Transport != "http2" || !p.wire.compressed {
		return
	}
	timeout := time.NewTimer(halfCloseWait)
	defer timeout.Stop()
	p.read(func() bool { return p.rec.HalfClosed }, timeout.C, false)
}

// endOf names the end of a run that play left with err:
//
//	nil                        EndedWell
//	errDrop                    EndedDropped
//	errCut                     EndedCut
//	errCancel                  EndedCancel
//	errGarbage, *statusError,
//	scriptError                EndedError
//	another *endError          EndedRefused
//	anything else              EndedLeft: a write failed, or the request is over
func endOf(err error) string {
	var refused *endError
	switch {
	case err == nil:
		return EndedWell
	case errors.Is(err, errDrop):
		return EndedDropped
	case errors.Is(err, errCut):
		return EndedCut
	case errors.Is(err, errCancel):
		return EndedCancel
	case errors.Is(err, errGarbage), errors.As(err, new(*statusError)), errors.As(err, new(scriptError)):
		return EndedError
	case errors.As(err, &refused):
		return EndedRefused
	}
	return EndedLeft // a write failed, or the context ended
}

// finish writes the last that the client gets of a run that ended with end, and that play left with err: an end frame, a
// status in place of the stream, or nothing when the client is gone. What was sent before a cut arrives before the reset.
func (w *wire) finish(rw http.ResponseWriter, end string, err error) error {
	var status *statusError
	var scripted scriptError
	var refused *endError
	switch {
	case end == EndedWell, end == EndedDropped:
		return w.end(nil)
	case end == EndedCut:
		return w.flushHeld()
	case end == EndedCancel:
		return w.end(&endError{Code: "canceled", Message: "canceled by the client"})
	case errors.As(err, &status):
		status.write(rw)
	case errors.As(err, &scripted):
		return w.end(scripted.endError)
	case errors.As(err, &refused):
		return w.end(refused)
	}
	return nil
}

// write answers in place of the stream, with the Connect code that belongs to the status, and
// Retry-After in whole seconds if the script has one. It works only before the stream has begun; the
// parser makes sure of that.
func (e *statusError) write(w http.ResponseWriter) {
	codes := map[int]string{401: "unauthenticated", 403: "permission_denied", 404: "unimplemented", 429: "resource_exhausted", 503: "unavailable"}
	code, ok := codes[e.Code]
	if !ok {
		code = "unknown"
	}
	w.Header().Del("Connect-Content-Encoding")
	if e.RetryAfter != 0 {
		w.Header().Set("Retry-After", formatSeconds(e.RetryAfter))
	}
	writeConnectError(w, e.Code, code, e.Message)
}

// publicHeader is a request's header in lower case, without the credentials. Values are shared
// with the request's header.
func publicHeader(h http.Header) map[string][]string {
	public := map[string][]string{}
	for name, values := range h {
		switch name {
		case "Authorization", "X-Blob-Encryption-Key", "Cookie":
		default:
			public[strings.ToLower(name)] = values
		}
	}
	return public
}

// contextErr is how a run ends whose request is over: the client has left, or the server closes.
func contextErr(ctx context.Context) error { return errors.Join(errLeft, context.Cause(ctx)) }
