package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/cursor/reach"
)

// Limits says how long upstream may take.
type Limits struct {
	Start time.Duration // until its response headers; 0 means retry.StartTimeout
	Stall time.Duration // without a byte, once it has begun; 0 means retry.StallTimeout
	// Progress is how long it may be alive without getting on, once Progressed has been called; 0 is for ever.
	Progress time.Duration
}

// withDefaults replaces what is 0 or less.
func (l Limits) withDefaults() Limits {
	l.Start = cmp.Or(max(l.Start, 0), retry.StartTimeout)
	l.Stall = cmp.Or(max(l.Stall, 0), retry.StallTimeout)
	return l
}

// An Exchange is one HTTP request and the stream that answers it. Close may be called at any time, from any
// goroutine and more than once; everything else is for one goroutine at a time.
//
// Whatever ends it early (a time limit, Close, Send's caller) cancels ctx with a cause. Fault makes the
// error from that cause, and not from what net/http makes of it, which differs from case to case.
//
//	goroutine     does                                        ends with
//	the caller's  Send, Next, Progressed, Refusal             its own will
//	Stream's      read, which yields messages                 the stream's end, or ctx
//	timers        cancel ctx with errStart, errStall, …       Close: they stop with ctx or when they have fired
type Exchange struct {
	// Response is the answer's head; its Body is read through Read. It doesn't change after Send.
	Response *http.Response

	target  *url.URL // of the request
	setting string   // that names the target
	limits  Limits
	ctx     context.Context // of the request; its cause says why it was cancelled
	cancel  context.CancelCauseFunc
	reused  atomic.Bool // the request went out over a connection that had carried others

	progress *time.Timer // nil before Progressed

	// messages go from Stream's goroutine to Next, and empty buffers come back in free.
	messages chan message // from Stream's goroutine to Next; never closed
	free     chan []byte  // buffers for the next messages, which go the other way
	last     []byte       // what Next returned, to be reused
}

// A message is data, or the end of the stream.
type message struct {
	// data belongs to who has taken the message, until the next call of Next.
	data []byte
	err  error
}

// Why a request was cancelled: the causes of an exchange's context. Fault turns them into errors.
var (
	errStart          = errors.New("upstream did not begin to answer in time")
	errStall          = errors.New("upstream fell silent")
	errNoProgress     = errors.New("upstream makes no progress")
	errExchangeClosed = errors.New("the exchange is closed")
)

// Send sends req and returns once the response headers are there. ctx bounds Send alone; the exchange lives
// until Close, which the caller calls. The request's body may still be open when Send returns; its end
// belongs to the caller, and Close closes it. Send follows no redirects, because the request carries a
// token: they are errors, as is what a proxy or a firewall answers in upstream's place.
//
// When transport is a *Transport, a start that times out on a connection that was used before makes later
// requests use new connections.
//
// setting is the variable that names the target, for errors. Errors are *agent.Error, *cursorerr.Failure, or ctx's own.
//
// Its context is detached from the caller's (WithoutCancel), because the answer outlives the
// call; ctx is watched only until the headers are there.
func Send(ctx context.Context, transport http.RoundTripper, req *http.Request, setting string, limits Limits) (*Exchange, error) {
	x := &Exchange{target: req.URL, setting: setting, limits: limits.withDefaults()}
	x.ctx, x.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { x.cancel(ctx.Err()) })
	defer stop()
	startTimer := time.AfterFunc(x.limits.Start, func() { x.cancel(errStart) })
	defer startTimer.Stop()
	if req.Body != nil {
		// net/http neither resets a cancelled request nor wakes who waits for it while its body is still
		// being sent. So the body is closed, too.
		context.AfterFunc(x.ctx, func() { req.Body.Close() })
	}

	traced := httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { x.reused.Store(info.Reused) },
	})
	renewable, _ := transport.(*Transport)
	var used *http.Transport
	if renewable != nil {
		used = renewable.now()
		transport = used
	}
	resp, err := transport.RoundTrip(req.WithContext(traced))
	if err != nil {
		if renewable != nil && x.reused.Load() && errors.Is(context.Cause(x.ctx), errStart) {
			renewable.renew(used)
		}
		err = x.Fault(err)
		x.cancel(errExchangeClosed)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	x.Response = resp
	if !startTimer.Stop() || !stop() { // it came at the last moment, and the request is cancelled already
		err := x.Fault(context.Cause(x.ctx))
		_ = x.Close()
		return nil, err
	}
	if stopped := reach.Intercepted(x.target, setting, resp); stopped != nil { // an exchange carries a token, so it goes nowhere else
		_ = x.Close()
		return nil, stopped
	}
	return x, nil
}

// Read reads the body. It cancels the exchange when nothing comes for Limits.Stall. It is called by
// Stream's read function, or by one goroutine when there is no Stream. Its error is for Fault.
func (x *Exchange) Read(p []byte) (int, error) {
	silence := time.AfterFunc(x.limits.Stall, func() { x.cancel(errStall) })
	defer silence.Stop()
	return x.Response.Body.Read(p)
}

// Progressed records that the answer has made progress, which only the caller can know: heartbeats are
// bytes, too. The first call starts the clock of Limits.Progress.
func (x *Exchange) Progressed() {
	switch {
	case x.limits.Progress <= 0:
	case x.progress == nil:
		x.progress = time.AfterFunc(x.limits.Progress, func() { x.cancel(errNoProgress) })
		context.AfterFunc(x.ctx, func() { x.progress.Stop() })
	default:
		x.progress.Reset(x.limits.Progress)
	}
}

// Refusal reads the body of an answer that is not a stream, up to cursorerr.MaxRefusal and for cursorerr.RefusalTimeout at
// most. It has no error: a part of a message is better than none.
func (x *Exchange) Refusal() []byte {
	timer := time.AfterFunc(cursorerr.RefusalTimeout, func() { x.cancel(errStall) })
	defer timer.Stop()
	body, _ := io.ReadAll(io.LimitReader(x, cursorerr.MaxRefusal)) // half of a message is better than none
	return body
}

// readAhead is how many messages of an answer may wait to be taken. Beyond that we stop reading, and flow
// control makes upstream stop sending.
const readAhead = 16

// Stream starts to read ahead: read is called in a goroutine of its own and yields messages, valid during
// yield only, until it returns why the stream has ended, or until yield is false. Stream is called at most
// once. The goroutine ends with the stream or with Close.
//
// It reads ahead so that Buffered can tell whether more is there, and so that a burst is one
// write to the client.
func (x *Exchange) Stream(read func(yield func([]byte) bool) error) {
	x.messages = make(chan message, readAhead)
	x.free = make(chan []byte, readAhead+1)
	send := func(m message) bool {
		select {
		case x.messages <- m:
			return true
		case <-x.ctx.Done():
			return false
		}
	}
	go func() {
		defer agent.CatchPanic(func(err *agent.Error) { send(message{err: err}) })
		err := read(func(data []byte) bool {
			return send(message{data: append(x.buffer(), data...)})
		})
		send(message{err: err})
	}()
}

// maxKept is the largest buffer, in bytes, that is kept for the next message.
const maxKept = 16 << 10

// buffer returns an empty buffer, one that was used before if there is one.
func (x *Exchange) buffer() []byte {
	select {
	case b := <-x.free:
		return b[:0]
	default:
		return nil
	}
}

// Next returns the next message, valid until Next is called again, and in the end the error
// that read returned. When ctx ends first, it returns ctx's error and nothing is lost. When the
// exchange was cancelled, it returns Fault's error. The buffer of the message before goes back
// for another one here, because only now is it no longer in use.
func (x *Exchange) Next(ctx context.Context) ([]byte, error) {
	if cap(x.last) > 0 && cap(x.last) <= maxKept {
		select {
		case x.free <- x.last:
		default:
		}
	}
	x.last = nil
	// What has arrived is returned even if a context has ended by now.
	select {
	case m := <-x.messages:
		return x.take(m)
	default:
	}
	select {
	case m := <-x.messages:
		return x.take(m)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-x.ctx.Done():
		return nil, x.Fault(context.Cause(x.ctx))
	}
}

// take is what Next returns for m. If the exchange was cancelled, that is the reason why read failed.
func (x *Exchange) take(m message) ([]byte, error) {
	if m.err != nil && x.ctx.Err() != nil { // read broke because the exchange was cancelled
		return nil, x.Fault(m.err)
	}
	x.last = m.data
	return m.data, m.err
}

// Buffered reports whether Next would return at once.
func (x *Exchange) Buffered() bool { return len(x.messages) > 0 }

// Close ends the exchange. An answer that is not complete is reset upstream. Stream's goroutine
// is not waited for: it ends when its read or its send notices.
func (x *Exchange) Close() error {
	x.cancel(errExchangeClosed)
	if x.Response != nil {
		_ = x.Response.Body.Close() // it only says that the request was cancelled
	}
	return nil
}

// Fault is the error to report for an error of the connection. When another attempt may help it is a
// *cursorerr.Failure, otherwise an *agent.Error.
//
//	no response headers in time      retried only if the connection was an old one
//	silence, or no progress          retried, as a time-out of our own
//	cancelled by Close or a caller   Canceled, not retried
//	no connection, or it broke       retried
func (x *Exchange) Fault(err error) error {
	switch cause := context.Cause(x.ctx); {
	case errors.Is(cause, errStart):
		// A connection that was reused may be at fault: half-open, which means that its other end is gone and nobody has
		// told us. On a fresh one it is upstream that is slow.
		return &cursorerr.Failure{Retryable: x.reused.Load(), OwnTimeout: true, Err: &agent.Error{Code: agent.UpstreamTimeout, Err: errStart,
			Message: fmt.Sprintf("The upstream service did not begin to answer within %v.", x.limits.Start)}}
	case errors.Is(cause, errStall):
		return &cursorerr.Failure{Retryable: true, OwnTimeout: true, Err: &agent.Error{Code: agent.UpstreamTimeout, Err: errStall,
			Message: fmt.Sprintf("The upstream service has said nothing for %v.", x.limits.Stall)}}
	case errors.Is(cause, errNoProgress):
		return &cursorerr.Failure{Retryable: true, OwnTimeout: true, Err: &agent.Error{Code: agent.UpstreamTimeout, Err: errNoProgress,
			Message: fmt.Sprintf("The upstream service has made no progress for %v.", x.limits.Progress)}}
	case cause != nil:
		return &agent.Error{Code: agent.Canceled, Err: cause}
	case x.Response == nil:
		return &cursorerr.Failure{Retryable: true, Err: reach.Error(x.target, x.setting, err)}
	}
	return &cursorerr.Failure{Retryable: true, Err: &agent.Error{Code: agent.Upstream, Message: "The upstream connection was cut before the answer was complete.", Err: err}}
}
