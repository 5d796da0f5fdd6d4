package localagent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/cursor/reach"
	"composer-api/internal/h2client"
)

// A stream is one attempt to carry out a run: one HTTP/2 request whose two bodies are open at once. It owns both, and
// close closes both. put and close may be called by any goroutine at any time, next by the one with the reading role.
//
//	us                                      upstream
//	POST, headers, run request   ─────────►
//	                             ◄───────── 200, headers
//	                             ◄───────── text, thinking, execs, checkpoints, heartbeats
//	answers to execs, heartbeats ─────────►
//	                             ◄───────── turn_ended, end-stream envelope
//	end of the request body      ─────────►
//
// mu guards cause alone. body and in are set before openStream returns and not changed.
type stream struct {
	out  *outbox             // the request's body
	in   *connectwire.Reader // reads body
	body io.ReadCloser       // the response's
	// cancel ends the request, and with it both bodies.
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	cause error // why we ended it ourselves
}

// An opening is what openStream needs. It is for one attempt.
type opening struct {
	// pool is where the connection comes from.
	pool   *pool
	fresh  bool // over a new connection
	target *url.URL
	header http.Header
	first  [][]byte // the first envelope, in pieces
	// timeout is until the response's headers.
	timeout time.Duration
}

// backendSetting is the variable that names upstream. It is named in errors, so that an
// operator with a wrong address knows where to look.
const backendSetting = "CURSOR_BACKEND_BASE_URL"

// errStartTimeout cancels a request that upstream has not accepted in time.
var errStartTimeout = errors.New("upstream did not accept the request in time")

// openStream sends the headers and the first envelope, and waits until upstream has accepted them with a status. When
// it returns an error nothing is left open. Errors are *cursorerr.Failure.
//
// ctx ends the waiting alone; the request has a context of its own. Ending that resets the stream, too, but net/http's client, over
// HTTP/1.1, doesn't look at it while the request body is open (seen on Go 1.26), so close closes both bodies.
//
//	ctx ends, or timeout     the request is canceled; an error
//	status other than 200    the body is read (cursorerr.MaxRefusal) and becomes the error
//	not Connect over HTTP/2  an error about the configuration
//	200                      the stream, whose bodies are open
func openStream(ctx context.Context, o opening) (*stream, error) {
	s := &stream{}
	var own context.Context // not a child of ctx: the stream outlives it, and must not keep what it holds
	own, s.cancel = context.WithCancelCause(context.Background())
	begin := time.Now()
	stopWatching := context.AfterFunc(ctx, func() { s.cancel(context.Cause(ctx)) })
	startTimer := time.AfterFunc(o.timeout, func() { s.cancel(errStartTimeout) })
	c, resp, err := o.send(own, s)
	stopWatching()
	startTimer.Stop()
	if err == nil {
		s.body = resp.Body
		if err := o.refusal(ctx, resp); err != nil {
			s.close(err)
			return nil, err
		}
		if err = own.Err(); err == nil {
			s.in = connectwire.NewReader(resp.Body, 0)
			return s, nil
		}
		s.close(err) // cancelled just after the headers came
	}
	s.out.Close()
	if errors.Is(context.Cause(own), errStartTimeout) {
		reused := c != nil && c.made.Before(begin)
		if reused {
			o.pool.retire(c)
		}
		return nil, startTimeout(o.timeout, reused)
	}
	return nil, o.notOpened(own, err)
}

// mostSends is how often a request is sent at most, when the server says each time that it has not looked at it: a connection
// went away just then. After that it is a failure like others, with pauses.
const mostSends = 3

// send sends the request and waits for the response's headers. It makes s.out. The connection is nil when none could
// be had. The connection comes with the error, too, so that one that was silent can be retired.
func (o *opening) send(ctx context.Context, s *stream) (c *conn, resp *http.Response, err error) {
	for range mostSends {
		s.out = newOutbox()
		s.out.put(o.first...)
		if c, err = o.pool.reserve(ctx, o.fresh); err != nil {
			return nil, nil, err
		}
		resp, err = c.RoundTrip((&http.Request{
			Method: http.MethodPost, URL: o.target, Host: o.target.Host, Header: o.header, Body: s.out, ContentLength: -1,
		}).WithContext(ctx))
		if !errors.Is(err, h2client.ErrUnprocessed) {
			break
		}
	}
	return c, resp, err
}

// startTimeout is the failure of a request that upstream has not accepted in time. A connection that was used before may
// be half-open: its other end is gone without a word, and another attempt over a new one may help. On a new one it is
// upstream that is slow, and another attempt would only make the client wait twice as long.
func startTimeout(timeout time.Duration, reused bool) *cursorerr.Failure {
	return &cursorerr.Failure{Retryable: reused, OwnTimeout: true, Err: &agent.Error{
		Code: agent.UpstreamTimeout, Err: errStartTimeout,
		Message: fmt.Sprintf("Cursor did not accept the request within %v. Please try again.", timeout),
	}}
}

// notOpened is the failure of a request that got no answer. own is its context, whose cause is more precise than err.
func (o *opening) notOpened(own context.Context, err error) *cursorerr.Failure {
	if cause := context.Cause(own); cause != nil {
		err = cause
	}
	f := failed(err)
	if f.Err.Code == agent.Upstream {
		f.Err = reach.Error(o.target, backendSetting, err)
	}
	return f
}

// refusal is the error for a response that is not a stream, a *cursorerr.Failure; nil when it is a stream. It reads the
// body of a refusal, until ctx or cursorerr.RefusalTimeout ends it; then the body is closed, and the part that has come must do. A response
// over HTTP/1.1 can't be a stream whose two bodies are open at once: something in between has translated it.
func (o *opening) refusal(ctx context.Context, resp *http.Response) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if stopped := reach.Intercepted(o.target, backendSetting, resp); stopped != nil {
		return &cursorerr.Failure{Err: stopped}
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		ctx, cancel := context.WithTimeout(ctx, cursorerr.RefusalTimeout)
		defer cancel()
		defer context.AfterFunc(ctx, func() { resp.Body.Close() })()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, cursorerr.MaxRefusal))
		return cursorerr.LocalAgent().ReadResponse(resp, body)
	case resp.ProtoMajor < 2 || kind != connectwire.ContentType:
		return &cursorerr.Failure{Err: agent.Errorf(agent.NotConfigured,
			"The endpoint doesn't speak the local-agent protocol: check CURSOR_BACKEND_BASE_URL and CURSOR_LOCAL_AGENT_ENDPOINT.")}
	}
	return nil
}

// put sends an envelope, without waiting. It reports false when the stream is over.
func (s *stream) put(envelope []byte) bool { return s.out.put(envelope) }

// next reads the next message into m, which is valid until the next call. After close, the error is the cause that was
// given there.
func (s *stream) next(m *agentwire.ServerMessage) error {
	message, err := s.in.Next()
	if err == nil {
		return m.Parse(message)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		err = s.cause
	}
	return err
}

// close resets the stream at once. It may be called at any time and more than once; the first cause stays. It may wait
// for the transport, so it must not be called with run.mu held.
func (s *stream) close(cause error) {
	s.mu.Lock()
	if s.cause == nil {
		s.cause = cause
	}
	s.mu.Unlock()
	s.out.Close()
	s.body.Close()
	s.cancel(cause)
}
