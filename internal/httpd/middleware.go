package httpd

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// What surrounds every request, whatever its route. The order is in New, with the reasons.

// requestIDHeader has the id of a request, in both directions.
const requestIDHeader = "X-Request-Id"

// saneRequestID matches an id that is taken over from a client. Others are replaced, because the id goes into
// logs and headers. The bound of 128 bytes is ours: a line of the log has to hold it.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// observe gives the request an id, and writes its line of the log when it is over. It makes the *response that
// everything further in writes to.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The client's id is kept, so that a proxy in front and this server name a request alike.
		id := r.Header.Get(requestIDHeader)
		if !saneRequestID.MatchString(id) {
			id = agent.NewID("req_", 24)
		}
		w.Header().Set(requestIDHeader, id)
		resp := newResponse(w)
		// On a kept connection the deadline of the answer before is still set, and writing "100
		// Continue" would fail.
		_ = resp.control.SetWriteDeadline(time.Time{})
		// From here on the response knows when the request's body was read to its end; fail and
		// the deadlines need that.
		resp.watchBody(r)
		start := time.Now()
		resp.received = start
		if s.cfg.Begun != nil && !isProbe(r.URL.Path) {
			var ctx context.Context
			ctx, resp.trace = s.cfg.Begun(r)
			r = r.WithContext(ctx)
		}
		defer func() {
			s.logRequest(resp, r, id, time.Since(start))
			if s.cfg.Answered != nil {
				s.cfg.Answered(r.Context(), Answer{id, resp.route, resp.endpoint, resp.status, resp.err, resp.movedBecause()})
			}
		}()
		next.ServeHTTP(resp, r)
	})
}

// An Answer is how one request was answered, for metrics and traces. It has no content: a route, a status, and an error, of
// which they take the code alone.
type Answer struct {
	// RequestID is the one in the answer's header.
	RequestID string
	Route     string // the pattern of the route, without the base; "" when there is none
	Endpoint  string // the same with the base: "POST /u/{account}/v1/responses"
	Status    int    // HTTP; 0 when the client left before there was one
	Err       error  // nil when all went well
	Moved     string // why another replica has answered, MovedHeld or MovedDraining; "" when this one has
}

// movedBecause is Answer.Moved.
func (w *response) movedBecause() string {
	if w.moved == nil {
		return ""
	}
	return w.moved.why
}

// isProbe reports whether a path is that of a probe. Probes come every few seconds, for ever.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// logRequest writes one line. It names the route and what upstream was asked for, and nothing of the content.
func (s *Server) logRequest(w *response, r *http.Request, id string, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("id", id), slog.String("method", r.Method), slog.String("path", s.words.path(r.URL.Path)),
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.Duration("took", took.Round(time.Microsecond)),
	}
	// The turn has put these into its answer; to read them there saves a way from the gateway to
	// the log.
	for _, name := range []string{"x-composer-upstream", "x-composer-resume", "x-composer-model"} {
		if v := w.Header().Get(name); v != "" {
			attrs = append(attrs, slog.String(strings.TrimPrefix(name, "x-composer-"), v))
		}
	}
	if w.moved != nil {
		attrs = append(attrs, slog.String("replica", w.moved.address), slog.String("moved", w.moved.why))
	}
	level := slog.LevelInfo
	switch w.route {
	// Whoever watches asks every second: orchestrators, and 'composer-api status --watch'.
	case "GET /healthz", "GET /readyz", "GET /status":
		level = slog.LevelDebug
	}
	if w.err != nil {
		e := agent.AsError(w.err)
		attrs = append(attrs, slog.String("code", e.Code.String()))
		// Our own errors are written out, because an operator has to act on them. What a client did
		// wrong is named by its code and its parameter: the text could hold a part of the request.
		if openai.RowOf(e.Code).Status >= http.StatusInternalServerError {
			attrs = append(attrs, slog.String("error", e.Error()))
		} else if e.Param != "" {
			attrs = append(attrs, slog.String("param", e.Param)) // the message may quote the request
		}
		if e.Code == agent.Internal {
			level = slog.LevelError
		}
	}
	s.cfg.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// recoverPanics answers 500 for a handler that panicked. http.ErrAbortHandler is passed on: with it fail cuts a
// connection off on purpose.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			// The stack names functions and lines. The value may hold a part of a request when it
			// is an index or a map key; it is logged all the same, since it can't be understood
			// otherwise.
			s.cfg.Log.Error("panic", "value", v, "stack", string(debug.Stack()))
			s.fail(w.(*response), r, &agent.Error{Code: agent.Internal, Err: errors.New("panic")})
		}()
		next.ServeHTTP(w, r)
	})
}

// cors lets web pages of any origin use the gateway. That is safe, because a request is allowed by the key that
// is sent with it, never by a cookie.
func cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		// A browser shows scripts only the headers that are listed here.
		h.Set("Access-Control-Expose-Headers", "x-request-id, request-id, retry-after, x-should-retry, x-composer-upstream, x-composer-resume, x-composer-model, x-composer-system, x-composer-cost, x-composer-repair, "+api.RateLimitHeaders)
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
		// SDKs send headers of their own (x-stainless-…). What is asked for is allowed, because "*"
		// doesn't cover Authorization.
		allowed := r.Header.Get("Access-Control-Request-Headers")
		if allowed == "" {
			allowed = "authorization, content-type, x-api-key"
		}
		h.Set("Access-Control-Allow-Headers", allowed)
		h.Add("Vary", "Access-Control-Request-Headers")
		// In seconds: a day, which browsers cut to two hours or ten minutes.
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	})
}

// cleanPath turns "/v1//models/" into "/v1/models": a base URL with a slash at its end is a common mistake, and
// ServeMux would answer it with a redirect, which loses the body. It works on the escaped path, as ServeMux does:
// an escaped slash is part of a segment, so "/u/..%2f/v1/models" does not become "/v1/models".
func cleanPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.EscapedPath(); strings.Contains(p, "//") || len(p) > 1 && strings.HasSuffix(p, "/") {
			// RawPath must fit Path, or else net/url takes no notice of it.
			cleaned := path.Clean(p)
			if plain, err := url.PathUnescape(cleaned); err == nil {
				r.URL.Path, r.URL.RawPath = plain, cleaned
			}
		}
		next.ServeHTTP(w, r)
	})
}
