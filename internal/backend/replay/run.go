package replay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/cursorerr"
)

// Open sends a request upstream and returns once upstream has accepted it. ctx bounds Open alone. Errors are *agent.Error,
// or *cursorerr.Failure when another attempt may help.
type Open func(ctx context.Context, req *agent.Request) (Answer, error)

// An Answer is one upstream stream: Next, Buffered and Close are as in [agent.Run]. It ends with Done; an error may be a
// *cursorerr.Failure.
type Answer interface {
	Next(ctx context.Context) (agent.Event, error)
	Buffered() bool
	Close() error
}

// A Run is an [agent.Run] over one answer after the other: each turn is a request of its own, whose transcript holds what the
// turns before have said and the results of their calls.
//
// Next, Buffered and Resume are called by one goroutine at a time. Close may be called by any, at any time. The run owns
// its answer, and closes it before it opens another, at the end of a turn and in Close.
type Run struct {
	open   Open
	limits Limits
	life   context.Context // ends with Close
	end    context.CancelFunc

	mu     sync.Mutex // guards answer, and is not held while one is opened, read or closed
	answer Answer     // nil between two turns and after Close

	// What follows belongs to the goroutine that calls Next and Resume.
	req      *agent.Request
	text     bytes.Buffer     // what this turn has given out
	calls    []agent.ToolCall // and called
	attempts retry.Attempts
	state    state
}

// state is what may be called next.
type state uint8

const (
	silent  state = iota // Next; the turn has yielded nothing
	talking              // Next
	waiting              // Resume
	over                 // Close
)

// Start opens the first answer, with retries, and returns when upstream has accepted it. limits are those that open keeps to.
// ctx bounds Start alone; its values stay with the run. The caller closes the run. Errors are *agent.Error.
func Start(ctx context.Context, req *agent.Request, limits Limits, open Open) (*Run, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &Run{open: open, limits: limits.withDefaults(), life: life, end: end, req: req, attempts: retry.New(nil)}
	if err := r.ask(ctx); err != nil {
		end()
		return nil, err
	}
	return r, nil
}

var (
	errClosed   = errors.New("the run is closed")
	errMisorder = errors.New("the run can't do this now")
)

// Next implements agent.Run. An answer that fails before it has yielded anything is asked for again; text is never repeated.
// Errors are *agent.Error, or ctx's own; after ctx's own the turn may go on.
func (r *Run) Next(ctx context.Context) (agent.Event, error) {
	for {
		answer := r.current()
		switch {
		case r.life.Err() != nil:
			return agent.Event{}, &agent.Error{Code: agent.Canceled, Err: errClosed}
		case r.state == waiting || r.state == over || answer == nil:
			return agent.Event{}, &agent.Error{Code: agent.Internal, Err: errMisorder}
		}
		e, err := answer.Next(ctx)
		if err == nil {
			r.note(&e)
			return e, nil
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return agent.Event{}, ctx.Err()
		}
		if r.state == silent && r.life.Err() == nil {
			r.attempts.Begin(r.limits.Start)
			if err = r.beforeRetry(ctx, err); err == nil {
				err = r.reopen(ctx)
			}
			if err == nil {
				continue
			}
		}
		r.state = over
		return agent.Event{}, agent.AsError(err)
	}
}

// note remembers what the next answer's transcript needs.
func (r *Run) note(e *agent.Event) {
	r.state = talking
	switch e.Kind {
	case agent.Text:
		r.text.Write(e.Text)
	case agent.Call:
		r.calls = append(r.calls, *e.Call)
	case agent.DoneKind:
		r.state = over
		if e.Done.Reason == agent.ToolCalls {
			r.state = waiting
		}
		_ = r.swap(nil) // a run that waits holds nothing but its request
	}
}

// Buffered implements agent.Run.
func (r *Run) Buffered() bool {
	answer := r.current()
	return answer != nil && (r.state == silent || r.state == talking) && answer.Buffered()
}

// Resume implements agent.Run: it returns when upstream has accepted the next request. After an error, an *agent.Error, the
// run is over. It asks again, with the calls and their results at the end of the transcript.
func (r *Run) Resume(ctx context.Context, results []agent.ToolResult) error {
	switch {
	case r.life.Err() != nil:
		return &agent.Error{Code: agent.Canceled, Err: errClosed}
	case r.state != waiting:
		return &agent.Error{Code: agent.Internal, Err: errMisorder}
	}
	r.req = extend(r.req, r.text.String(), r.calls, results)
	r.text = bytes.Buffer{}
	r.calls = nil
	r.attempts = retry.New(nil)
	r.state = silent
	if err := r.ask(ctx); err != nil {
		r.state = over
		return err
	}
	return nil
}

// extend returns a copy of req whose transcript goes on with a turn and its results.
func extend(req *agent.Request, text string, calls []agent.ToolCall, results []agent.ToolResult) *agent.Request {
	longer := *req
	longer.Messages = slices.Clip(req.Messages) // appending must not write into the caller's array
	turn := agent.Message{Role: agent.Assistant, Calls: calls}
	if text != "" {
		turn.Parts = []agent.Part{{Text: text}}
	}
	longer.Messages = append(longer.Messages, turn)
	for _, result := range results {
		longer.Messages = append(longer.Messages, agent.Message{
			Role: agent.ToolRole, Parts: result.Parts, CallID: result.CallID, IsError: result.IsError,
		})
	}
	return &longer
}

// Size implements agent.Sized: a run that waits keeps its request, for the next one is the same and more.
func (r *Run) Size() int { return r.req.Size() }

// Close implements agent.Run.
func (r *Run) Close() error {
	r.end()
	return r.swap(nil)
}

// ask opens the first answer of a turn, and tries again where that may help. Errors are *agent.Error.
func (r *Run) ask(ctx context.Context) error {
	r.attempts.Begin(r.limits.Start)
	return r.reopen(ctx)
}

// reopen opens an answer in place of the one before, if there is one, and tries again where that may help. ctx bounds the
// opening, and so does Close. Errors are *agent.Error.
func (r *Run) reopen(ctx context.Context) error {
	if err := r.swap(nil); err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	for {
		answer, err := r.open(opening, r.req)
		switch {
		case err == nil:
			_ = r.swap(answer)
			if r.life.Err() != nil { // Close has missed it
				_ = r.swap(nil)
				return &agent.Error{Code: agent.Canceled, Err: errClosed}
			}
			return nil
		case ctx.Err() != nil:
			return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
		}
		if err := r.beforeRetry(ctx, err); err != nil {
			return err
		}
	}
}

// beforeRetry waits until the time for another attempt has come. Otherwise it returns what the turn ends with, an
// *agent.Error.
func (r *Run) beforeRetry(ctx context.Context, err error) error {
	var f *cursorerr.Failure
	if !errors.As(err, &f) {
		return agent.AsError(err)
	}
	pause, final := r.attempts.Next(f, false)
	if final != nil {
		return final
	}
	if !retry.Wait(pause, ctx, r.life) {
		return &agent.Error{Code: agent.Canceled, Err: cmp.Or(ctx.Err(), errClosed)}
	}
	return nil
}

// current returns the open answer; nil when there is none.
func (r *Run) current() Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answer
}

// swap puts answer in the place of the one before, which it closes.
func (r *Run) swap(answer Answer) error {
	r.mu.Lock()
	before := r.answer
	r.answer = answer
	r.mu.Unlock()
	if before == nil {
		return nil
	}
	return before.Close()
}
