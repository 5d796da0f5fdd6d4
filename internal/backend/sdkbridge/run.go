package sdkbridge

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/meter"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/sdkv1"
)

// A run is one message sent to an agent, and what comes of it.
//
// Three goroutines meet here: the gateway's, which calls Next and Resume; the reader of the bridge's stream, which hands
// what it reads through events; and one for each held callback, which waits in hold. mu guards what they share.
//
// What the gateway does in Next, in this order, until there is an event: what is queued (out); the
// end (why); what the stream has said (read, take); the calls that have come (takeCalls); waiting.
type run struct {
	// Neither ever changes, so they need no lock.
	backend *Backend
	req     *agent.Request

	// These three are made with the run and only ever closed or sent to.
	wake     chan struct{} // tells a waiting Next that a call has come; holds at most one
	closed   chan struct{} // closed by Close
	released chan struct{} // closed when held callbacks may end: the run has ended upstream

	taken  atomic.Int64 // when the attempt has first said something of the model, in nanoseconds; 0 before that
	spoken atomic.Bool  // text or a call was yielded: the run can't begin again

	// These belong to the goroutine of Next and Resume. They decide, in this order, whether the
	// run may try again, what its usage is, and what Next yields.
	attempts retry.Attempts
	meter    meter.Meter
	prompt   int64         // tokens of the whole conversation and the tools, estimated
	grown    int64         // the part of prompt that the run has written itself
	written  int           // bytes got: text, thinking and arguments
	tokens   int64         // the same in tokens, if upstream says it
	out      []agent.Event // what Next yields before anything else
	next     *streamEvent  // what Buffered has read for Next
	begunOn  int           // times that the bridge has asked upstream again
	turnOver bool          // Done{ToolCalls} was yielded and Resume has not been called
	// progress is when the model was last heard of, for the time-out of a run that says nothing.
	progress time.Time

	// What follows is shared with the reader and with the goroutines of held callbacks.
	mu        sync.Mutex
	offered   []agent.Tool         // by the client, at present; the agent has those of req
	tools     *agent.ToolIndex     // the same
	format    agent.FormatID       // of the answer, as the model was told
	note      string               // for the model, with the next result
	attempt   *attempt             // the agent and the stream that the run stands on
	over      error                // why there is nothing more to come
	announced int                  // calls that upstream has announced and that were not yielded yet; 0 if it hasn't said
	arrived   []*heldCall          // calls that were not yielded yet
	byID      map[string]*heldCall // every call of the run, by upstream's id
	places    map[string]int       // of the calls, by upstream's id: in which order the model makes them
	waiting   map[string]*heldCall // calls that were yielded, by our id
	answered  []*heldCall          // calls that were answered when this turn began
	last      time.Time            // when the last call came

	closeOnce sync.Once
}

// newRun makes a run that has no attempt yet; open makes one. The clock of progress begins now.
func newRun(b *Backend, req *agent.Request) *run {
	r := &run{
		backend: b, req: req, format: req.Format.ID(), offered: req.Offered(), tools: agent.IndexTools(req.Offered()), wake: make(chan struct{}, 1), closed: make(chan struct{}), released: make(chan struct{}),
		byID: map[string]*heldCall{}, waiting: map[string]*heldCall{}, places: map[string]int{}, progress: time.Now(),
		attempts: retry.New(nil, b.cfg.Log, req.Origin.RequestID, req.Retried), prompt: agent.EstimatePrompt(req),
	}
	// The surface hears of each try, and can tell its client that the answer takes longer.
	r.attempts.Told = req.Watcher
	return r
}

// errClosed and errDone reach nobody who keeps to agent.Run's contract.
var (
	errClosed = &agent.Error{Code: agent.Canceled, Err: errors.New("sdkbridge: the run is closed")}
	errDone   = &agent.Error{Code: agent.Internal, Err: errors.New("sdkbridge: Next after the end of a run")}
)

// ConversationID implements agent.Identified. It is the agent's id, which a later attempt may change.
func (r *run) ConversationID() string { return r.current().agent.id }

// Size implements agent.Sized: a run keeps its request until it is closed. What the bridge keeps is the bridge's.
func (r *run) Size() int { return r.req.Size() }

// AcceptedAt implements agent.Retrying. The bridge takes a message before it asks Cursor, and doesn't say when Cursor has
// accepted it: only the model's first sign shows that. A refusal comes a second later at times, when the machine is busy.
func (r *run) AcceptedAt() time.Time {
	if taken := r.taken.Load(); taken != 0 {
		return time.Unix(0, taken)
	}
	return time.Time{}
}

// current is the attempt that the run stands on. It is set before Start returns, and changed by broken.
func (r *run) current() *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempt
}

// Next implements agent.Run.
//
// Errors are *agent.Error, or ctx's own. The end of ctx does not end the run; the gateway closes it.
func (r *run) Next(ctx context.Context) (agent.Event, error) {
	for {
		if e, ok := r.pop(); ok {
			return e, nil
		}
		// Only now: events that are queued already are yielded also when the run has ended.
		if err := r.why(); err != nil {
			return agent.Event{}, err
		}
		if r.turnOver {
			return agent.Event{}, r.stop(errDone)
		}
		at := r.current()
		// What the stream says goes before calls: they overtake it, because they come over another connection.
		if s, ok := r.read(at); ok {
			if err := r.take(ctx, at, s); err != nil {
				return agent.Event{}, r.stop(err)
			}
			continue
		}
		wait := r.takeCalls()
		if wait == 0 {
			continue
		}
		// wait is the time until calls are complete, or until the run counts as stalled.
		// Whatever ends the waiting, the loop begins again at its top; nothing is handled here but
		// time.
		timer := time.NewTimer(wait)
		select {
		case s := <-at.events:
			timer.Stop()
			r.next = &s
		// A call has come. takeCalls decides whether it waits for its siblings.
		case <-r.wake:
			timer.Stop()
		case <-timer.C:
			if err := r.stalled(); err != nil {
				return agent.Event{}, r.stop(err)
			}
		case <-r.closed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return agent.Event{}, ctx.Err()
		}
	}
}

// read is the next thing that the stream has said, if it has said something. What Buffered has
// read ahead goes first.
func (r *run) read(at *attempt) (streamEvent, bool) {
	if r.next != nil {
		s := *r.next
		r.next = nil
		return s, true
	}
	select {
	case s := <-at.events:
		return s, true
	default:
		return streamEvent{}, false
	}
}

// pop takes the first event out of out, and notes what it means for the run.
func (r *run) pop() (agent.Event, bool) {
	if len(r.out) == 0 {
		return agent.Event{}, false
	}
	e := r.out[0]
	r.out = r.out[1:]
	switch e.Kind {
	case agent.Text, agent.Call:
		r.spoken.Store(true)
	// The end is noted when it is yielded, and not when it is known: what stands before it in out
	// is still to be read.
	case agent.DoneKind:
		r.turnOver = true
		if e.Done.Reason == agent.ToolCalls {
			r.current().park(true)
		} else {
			r.stop(errDone)
		}
	}
	return e, true
}

// push puts events at the end of out. They are yielded before anything that is read later.
func (r *run) push(events ...agent.Event) { r.out = append(r.out, events...) }

// why is the reason for which there is nothing more to come; nil when there is more. Close goes
// before any other reason.
func (r *run) why() error {
	select {
	case <-r.closed:
		return errClosed
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// stop makes err the answer to everything from now on, unless there is one already, and returns it.
func (r *run) stop(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil {
		r.over = err
	}
	return err
}

// take handles what the reader has read. An error ends the run.
func (r *run) take(ctx context.Context, at *attempt, s streamEvent) error {
	switch {
	case s.err != nil:
		return r.broken(ctx, at, s.err)
	case s.result != nil:
		return r.finish(at, s.result)
	case s.anew:
		return r.anew(at)
	}
	r.handle(s)
	return nil
}

// handle handles what does not end the run or begin it anew. It waits for nothing. Buffered calls
// it, too, which must not wait.
func (r *run) handle(s streamEvent) {
	switch {
	case s.started != "":
		r.order(s.started)
		return
	// Neither of these two is progress: a bridge that only repeats what calls it knows says nothing
	// of the model.
	case s.completed != "":
		r.answeredElsewhere(s.completed)
		return
	}
	r.progress = time.Now()
	// The first sign only: that is when Cursor has taken the request.
	r.taken.CompareAndSwap(0, r.progress.UnixNano())
	switch {
	case s.announced > 0:
		r.mu.Lock()
		r.announced = s.announced
		r.mu.Unlock()
	case s.tokens > 0:
		r.tokens += int64(s.tokens)
	case s.text != "":
		r.written += len(s.text)
		r.push(agent.Event{Kind: s.kind, Text: []byte(s.text)})
	}
}

// output is about how many tokens the run has written so far. Upstream's count goes before our
// estimate by bytes.
func (r *run) output() int64 {
	if r.tokens > 0 {
		return r.tokens
	}
	return agent.EstimateTokens(r.written)
}

// stalled is the error of a run that has said nothing for too long; nil when it may take
// longer. Calls that have come and wait for their siblings are progress.
func (r *run) stalled() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.arrived) > 0 || time.Since(r.progress) < r.backend.cfg.ProgressTimeout {
		return nil
	}
	return &agent.Error{Code: agent.UpstreamTimeout, Message: "The model made no progress for too long. Please try again."}
}

// finish ends the run as upstream says.
//
// Without usage from upstream the turn's is an estimate, as for a turn that ends in calls.
func (r *run) finish(at *attempt, result *sdkv1.RunResult) error {
	// An agent whose run failed may be in any state. It is not continued.
	if result.Status != sdkv1.StatusFinished {
		at.end(false)
		return resultError(result)
	}
	runs := at.finished()
	// Upstream counts the whole run, from its first message. The meter takes off what was charged
	// for the turns before.
	var usage agent.Usage
	if u := result.Usage; u == nil {
		usage = r.meter.Pause(r.prompt, r.output())
	} else {
		usage = r.meter.End(agent.Usage{
			Input: int64(u.Input), CacheRead: int64(u.CacheRead), CacheWrite: int64(u.CacheWrite), Output: int64(u.Output), Reasoning: int64(u.Reasoning),
		}, r.prompt)
	}
	done := agent.Done{Reason: agent.Stop, Conversation: &conversation{agent: at.agent, runs: runs}}
	r.push(agent.Event{Kind: agent.UsageKind, Usage: &usage}, agent.Event{Kind: agent.DoneKind, Done: &done})
	return nil
}

// Buffered implements agent.Run. Much of what the stream says yields nothing (the count of tokens comes after each piece of
// text), so it reads on until something does: otherwise text would wait with its reader for what comes next.
func (r *run) Buffered() bool {
	at := r.current()
	for len(r.out) == 0 {
		s, ok := r.read(at)
		if !ok {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.arrived) > 0 && len(r.arrived) == r.announced
		}
		// These may wait or end the run, so they are left to Next. Only "anew" yields nothing by
		// itself.
		if s.err != nil || s.result != nil || s.anew {
			r.next = &s
			return !s.anew
		}
		r.handle(s)
	}
	return true
}

// Close implements agent.Run. What the run's calls would be told reaches the model unless the run was cancelled before, so
// they are released only then; otherwise they end with the bridge.
//
// It waits for the reader of the stream and for a short call to the bridge, bounded by
// cancelWait and callTimeout.
func (r *run) Close() error {
	r.closeOnce.Do(func() {
		close(r.closed)
		// A cancel that failed leaves the callbacks waiting: the model may still be there, and
		// would read "given up" as a result of its tool.
		if r.current().abandon() {
			close(r.released)
		}
	})
	return nil
}
