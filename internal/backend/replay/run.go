package replay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/cursorerr"
)

// Open sends a request upstream and returns once upstream has accepted it. ctx bounds Open alone. Errors are
// *agent.Error, or *cursorerr.Failure when another attempt may help. The caller closes the answer.
//
// The backend's part of a run: chat.Backend.ask and bridge.Backend.ask. It is called once for
// each attempt, by one goroutine at a time.
type Open func(ctx context.Context, req *agent.Request) (Answer, error)

// An Answer is one upstream stream: Next, Buffered and Close are as in [agent.Run]. It ends with Done. An
// error of Next may be a *cursorerr.Failure.
type Answer interface {
	Next(ctx context.Context) (agent.Event, error)
	Buffered() bool
	Close() error
	// Refused lists the calls of the answer that can't be made. It is complete once Done is there.
	Refused() []Refused
}

// A Refused is a call that the client never hears of, because there is no such tool or because it can't be understood. The
// model hears of it, as if the tool had failed. Its name and arguments are what the model wrote, and need be neither a
// tool's name nor JSON.
type Refused struct {
	// Call.ID is ours: the transcript needs one.
	Call  agent.ToolCall
	Why   string // a sentence for the model
	After int    // how many of the answer's other calls come before it
}

// maxCorrections is how often in a turn the model is told of calls that can't be made. Each time costs another request.
const maxCorrections = 2

// A Run is an [agent.Run] over one answer after the other: each turn is a request of its own, whose
// transcript ends with the text and the calls of the turns before and with the results.
//
// Next, Buffered and Resume are called by one goroutine at a time. Close may be called by any, at any time.
// The run owns its answer, and closes it before it opens another, at the end of a turn and in Close.
//
// It has no connection while it waits for the client, so a parked run costs its request and
// nothing upstream.
type Run struct {
	// open makes the next request. limits bound how long one may take.
	open   Open
	limits Limits
	life   context.Context // ends with Close
	end    context.CancelFunc

	mu     sync.Mutex // protects answer; not held while one is opened, read or closed
	answer Answer     // nil between two turns and after Close

	log *slog.Logger // hears of attempts; may be nil

	// What follows belongs to the goroutine that calls Next and Resume.
	req      *agent.Request
	text     bytes.Buffer     // what the answer has given out
	calls    []agent.ToolCall // and called
	refused  []Refused        // and tried to call, which was refused
	spoke    bool             // an answer of this turn has given out text
	corrects int              // how often this turn has told the model of refused calls
	usage    turnUsage
	attempts retry.Attempts
	state    state
}

// state says what may be called next:
//
//	         an event              Done, after calls
//	silent ───────────► yielding ───────────────────► waiting ── Resume ──► silent
//	   │                    │ Done, or an error          │ Resume fails
//	   └───── an error ─────┴────────────► over ◄────────┘
//
// In silent, a failed answer is opened again. Close is possible in every state.
type state uint8

const (
	silent   state = iota // Next; the turn has yielded nothing
	yielding              // Next
	waiting               // Resume
	over                  // Close
)

// Start opens the first answer, with retries, and returns when upstream has accepted it. limits are those
// that open keeps to. log hears of retries; nil discards that. ctx bounds Start alone; its values stay with the run. The caller
// closes the run. Errors are *agent.Error.
func Start(ctx context.Context, req *agent.Request, limits Limits, log *slog.Logger, open Open) (*Run, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &Run{open: open, limits: limits.withDefaults(), life: life, end: end, req: req, log: log, attempts: retry.New(nil, log, req.Origin.RequestID, req.Retried)}
	// It is called for each further attempt, so that the surface can tell its client.
	r.attempts.Told = req.Watcher
	if err := r.ask(ctx); err != nil {
		end()
		return nil, err
	}
	return r, nil
}

var (
	// Causes of an agent.Canceled and of an agent.Internal: the caller broke the contract of agent.Run.
	errClosed = errors.New("the run is closed")
	// errWrongState is a bug of the caller's: Resume without calls, or Next after the end.
	errWrongState = errors.New("the run can't do this now")
)

// Next implements agent.Run. An answer that fails before it has yielded anything is opened again; text is
// never repeated. Errors are *agent.Error, or ctx's own; after ctx's own the turn may go on.
//
// A turn whose answer has only refused calls goes on with another answer (correct); the client
// notices nothing.
func (r *Run) Next(ctx context.Context) (agent.Event, error) {
	for {
		answer := r.current()
		switch {
		case r.life.Err() != nil:
			return agent.Event{}, &agent.Error{Code: agent.Canceled, Err: errClosed}
		case r.state == waiting || r.state == over || answer == nil:
			return agent.Event{}, &agent.Error{Code: agent.Internal, Err: errWrongState}
		}
		e, err := answer.Next(ctx)
		// Answers with good calls, too, end with ToolCalls, and hear of the refused ones with the
		// results.
		if err == nil && e.Kind == agent.DoneKind && e.Done.Reason == agent.Stop && len(answer.Refused()) > 0 {
			if again, err := r.correct(ctx, answer.Refused()); again {
				continue
			} else if err != nil {
				r.state = over
				return agent.Event{}, err
			}
		}
		if err == nil {
			r.remember(answer, &e)
			return e, nil
		}
		// The caller's time is over, and not the turn: the next call of Next goes on where this one
		// stopped.
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return agent.Event{}, ctx.Err()
		}
		// Nothing of this answer has reached the client, so another one may take its place.
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

// remember records an event: the text and calls that the next answer's transcript needs, and
// the state. The answer is closed with Done: whatever comes after it is not read.
func (r *Run) remember(answer Answer, e *agent.Event) {
	r.state = yielding
	switch e.Kind {
	case agent.Text:
		r.spoke = true
		r.text.Write(e.Text)
	// The answers of one turn are requests of their own upstream, and each is charged.
	case agent.UsageKind:
		e.Usage = r.usage.sum(e.Usage)
	case agent.Call:
		r.calls = append(r.calls, *e.Call)
	case agent.DoneKind:
		r.state = over
		if e.Done.Reason == agent.ToolCalls {
			r.state = waiting
			r.refused = answer.Refused()
		}
		_ = r.swap(nil) // a run that waits holds nothing but its request
	}
}

// correct asks again after an answer that made no call but refused ones, which the model is told of. again is false when
// the model has been told often enough: the turn is over then, with what was said or with an error. Errors are
// *agent.Error.
func (r *Run) correct(ctx context.Context, refused []Refused) (again bool, err error) {
	if r.corrects == maxCorrections {
		// What was said is an answer of a kind. An error would take it from the client.
		if r.spoke {
			return false, nil
		}
		return false, &agent.Error{Code: agent.Upstream, Final: true,
			Message: "The model keeps calling tools that it was not offered, or in a form that can't be read. Please try again."}
	}
	r.corrects++
	r.refused = refused
	r.goOn(nil)
	r.usage.next()
	if err := r.ask(ctx); err != nil {
		return false, err
	}
	return true, nil
}

// goOn makes the request of the next answer, which has this one and the results of its calls at
// the end of its transcript. Refused calls stand where the model has written them
// (Refused.After), each with its result.
func (r *Run) goOn(results []agent.ToolResult) {
	var calls []agent.ToolCall // in the order in which the model wrote them
	made := 0
	for _, refused := range r.refused {
		// After counts the good calls before it, so the order is the model's own.
		calls = append(calls, r.calls[made:refused.After]...)
		made = refused.After
		calls = append(calls, refused.Call)
		results = append(slices.Clip(results), agent.ToolResult{CallID: refused.Call.ID, Parts: []agent.Part{{Text: refused.Why}}, IsError: true})
	}
	r.req = extend(r.req, r.text.String(), append(calls, r.calls[made:]...), results)
	// Not Reset, which would keep the memory of a long answer for as long as the run waits.
	r.text = bytes.Buffer{}
	r.calls, r.refused = nil, nil
	r.attempts = retry.New(nil, r.log, r.req.Origin.RequestID, false)
	r.attempts.Told = r.req.Watcher
	r.state = silent
}

// Buffered implements agent.Run.
func (r *Run) Buffered() bool {
	answer := r.current()
	return answer != nil && (r.state == silent || r.state == yielding) && answer.Buffered()
}

// Resume implements agent.Run: it opens an answer to the transcript with the calls and their results at its
// end, and returns when upstream has accepted it. After an error, an *agent.Error, the run is over.
func (r *Run) Resume(ctx context.Context, results []agent.ToolResult) error {
	switch {
	case r.life.Err() != nil:
		return &agent.Error{Code: agent.Canceled, Err: errClosed}
	case r.state != waiting:
		return &agent.Error{Code: agent.Internal, Err: errWrongState}
	}
	r.goOn(results)
	r.spoke, r.corrects, r.usage = false, 0, turnUsage{}
	if err := r.ask(ctx); err != nil {
		r.state = over
		return err
	}
	return nil
}

// Adapt implements agent.Adaptable: the next request offers and asks what req does. There is
// nothing upstream that would have to be told.
func (r *Run) Adapt(req *agent.Request) bool {
	// A copy, because a request that was handed to open is never changed.
	next := *r.req
	next.Tools, next.ToolChoice, next.SerialToolCalls, next.Format = req.Tools, req.ToolChoice, req.SerialToolCalls, req.Format
	r.req = &next
	return true
}

// extend returns a copy of req whose transcript has one more turn of the model and its results.
// req is not changed. What the user says along with results follows them as messages of the user.
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
	for _, result := range results {
		// In a loop of its own: the results of one answer must stand together.
		if len(result.Said) > 0 {
			longer.Messages = append(longer.Messages, agent.Message{Role: agent.User, Parts: result.Said})
		}
	}
	return &longer
}

// Size implements agent.Sized: a run that waits keeps its request, for the next one is the same and more.
func (r *Run) Size() int { return r.req.Size() }

// Close implements agent.Run. An opening that is under way is cancelled. It waits for the
// answer's Close, which may wait for the transport.
func (r *Run) Close() error {
	r.end()
	return r.swap(nil)
}

// ask opens the first answer of a turn, with retries. Errors are *agent.Error.
func (r *Run) ask(ctx context.Context) error {
	r.attempts.Begin(r.limits.Start)
	return r.reopen(ctx)
}

// reopen opens an answer in place of the one before, if there is one, with retries. ctx bounds the opening,
// and so does Close. Errors are *agent.Error.
//
// Close may come between the opening and the swap; then swap has put in an answer that nobody
// would close, and it is taken out again here.
func (r *Run) reopen(ctx context.Context) error {
	if err := r.swap(nil); err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	// The answer itself must outlive ctx, which is one call's; open gives it a context of its own.
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	for {
		answer, err := r.open(opening, r.req)
		switch {
		case err == nil:
			r.attempts.Accepted()
			_ = r.swap(answer)
			if r.life.Err() != nil { // Close has missed it
				_ = r.swap(nil)
				return &agent.Error{Code: agent.Canceled, Err: errClosed}
			}
			return nil
		// Before the policy of retries is asked: an attempt that was cancelled says nothing of
		// upstream.
		case ctx.Err() != nil:
			return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
		}
		if err := r.beforeRetry(ctx, err); err != nil {
			return err
		}
	}
}

// beforeRetry decides whether another attempt follows err, and waits until it is due. Otherwise it returns
// the error that the turn ends with, an *agent.Error.
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

// swap puts answer in place of the one before, and closes that. Only one of two that swap at
// once gets the answer before, so none is closed twice or not at all.
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
