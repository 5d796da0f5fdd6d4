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

// runHTTP2 serves the stream as one HTTP/2 request.
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

// serveRun plays one stream to its end.
func (s *Sim) serveRun(w http.ResponseWriter, r *http.Request, transport, requestID string, in *inbox) {
	rec := &Run{Transport: transport, Path: r.URL.Path, Header: publicHeader(r.Header), RequestID: requestID}
	if key := r.Header.Get("X-Blob-Encryption-Key"); key != "" {
		rec.BlobKey = hashOf(key)
	}
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

// newRun makes a run and its books, all of which write to the same wire and the same record.
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

var errUnauthenticated error = &endError{Code: "unauthenticated", Message: "the access token is not valid"}

// How a run is ended on purpose. Other errors are *endError.
var (
	errLeft    = errors.New("the client left")
	errCut     = errors.New("cut")
	errDrop    = errors.New("drop")
	errGarbage = errors.New("garbage")
	errCancel  = errors.New("the client canceled")
)

// statusError ends a run, before its stream begins, with an HTTP status.
type statusError struct{ script.Status }

func (e *statusError) Error() string { return http.StatusText(e.Code) }

// scriptError is an end that the script asked for, as against one for which the client is to blame.
type scriptError struct{ *endError }

// finish judges the run, writes its end down, and only then tells the client: a test that has seen the end finds it
// recorded.
func (p *run) finish(w http.ResponseWriter, err error) {
	end := endOf(err)
	p.checkEnd(end)
	failed := p.failed()
	p.record(func(r *Run) {
		r.Ended, r.End, r.Failures = time.Now(), end, failed
		if err != nil {
			r.Error = err.Error()
		}
	})
	p.sim.config.Log.Info("run", "run", p.rec.Seq, "end", end, "model", p.rec.Model, "tools", len(p.rec.Tools), "error", err)
	if p.writeEnd(w, end, err) != nil && end == EndedWell {
		p.record(func(r *Run) { r.End = EndedLeft })
	}
	p.awaitHalfClose()
	if end == EndedCut {
		panic(http.ErrAbortHandler)
	}
}

// halfCloseWait is how long a compressed stream is kept open after its end frame.
const halfCloseWait = time.Second

// awaitHalfClose waits for the client to end its side. When the handler returns before that, net/http resets the stream, and
// Node's client then throws away what it has received and not decompressed yet: Cursor's SDK loses the end of a
// compressed answer.
func (p *run) awaitHalfClose() {
	if p.rec.Transport != "http2" || !p.wire.compressed {
		return
	}
	timeout := time.NewTimer(halfCloseWait)
	defer timeout.Stop()
	p.read(func() bool { return p.rec.HalfClosed }, timeout.C, false)
}

// endOf names the end of a run that play left with err.
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

// writeEnd is the last that the client gets.
func (p *run) writeEnd(w http.ResponseWriter, end string, err error) error {
	var status *statusError
	var scripted scriptError
	var refused *endError
	switch {
	case end == EndedWell, end == EndedDropped:
		return p.wire.end(nil)
	case end == EndedCut:
		return p.wire.flushHeld() // what was sent so far arrives before the reset
	case end == EndedCancel:
		return p.wire.end(&endError{Code: "canceled", Message: "canceled by the client"})
	case errors.As(err, &status):
		status.write(w)
	case errors.As(err, &scripted):
		return p.wire.end(scripted.endError)
	case errors.As(err, &refused):
		return p.wire.end(refused)
	}
	return nil
}

// write answers in place of the stream, with the Connect code that belongs to the status.
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

// publicHeader is a request's header without what nobody may keep.
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

// contextErr is the run's reason to end when its request is over.
func contextErr(ctx context.Context) error { return errors.Join(errLeft, context.Cause(ctx)) }
