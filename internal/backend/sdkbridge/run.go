package sdkbridge

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/sdkv1"
)

// A run is one message sent to an agent, and what comes of it.
//
// Three goroutines meet here: the gateway's, which calls Next and Resume; the reader of the bridge's stream, which hands
// what it reads through events; and one for each held callback, which waits in hold. mu guards what they share.
type run struct {
	backend *Backend
	req     *agent.Request
	tools   *agent.ToolIndex // that the client offers

	wake     chan struct{} // tells a waiting Next that a call has come; holds at most one
	closed   chan struct{} // closed by Close
	released chan struct{} // closed when held callbacks may end, after the run was cancelled upstream

	// These belong to the goroutine of Next and Resume.
	meter     meter
	out       []agent.Event // what Next yields before anything else
	yielded   bool          // something was yielded: the run can't begin again
	restarted bool
	turnOver  bool // Done{ToolCalls} was yielded and Resume has not been called
	given     int  // calls yielded in this turn
	announced int  // calls that upstream has announced and that were not yielded yet or in this turn; 0 if it hasn't said
	progress  time.Time

	mu      sync.Mutex
	attempt *attempt             // the agent and the stream that the run stands on
	over    error                // why there is nothing more to come
	arrived []*heldCall          // calls that were not yielded yet, in order
	byID    map[string]*heldCall // every call that waits, by upstream's id
	waiting map[string]*heldCall // calls that were yielded, by our id
	last    time.Time            // when the last call came

	closeOnce sync.Once
}

// A heldCall is a callback of the bridge that waits for the client's result.
type heldCall struct {
	call   agent.ToolCall
	done   chan struct{} // closed when result is there
	result sdkv1.ToolResult
}

func newRun(b *Backend, req *agent.Request) *run {
	return &run{
		backend: b, req: req, tools: agent.IndexTools(req.Offered()), wake: make(chan struct{}, 1), closed: make(chan struct{}), released: make(chan struct{}),
		byID: map[string]*heldCall{}, waiting: map[string]*heldCall{}, progress: time.Now(),
	}
}

// errClosed and errDone reach nobody who keeps to agent.Run's contract.
var (
	errClosed = &agent.Error{Code: agent.Canceled, Err: errors.New("sdkbridge: the run is closed")}
	errDone   = &agent.Error{Code: agent.Internal, Err: errors.New("sdkbridge: Next after the end of a run")}
)

// ConversationID implements agent.Identified.
func (r *run) ConversationID() string { return r.current().agent.id }

// Size implements agent.Sized: a run keeps its request until it is closed. What the bridge keeps is the bridge's.
func (r *run) Size() int { return r.req.Size() }

func (r *run) current() *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempt
}

// hold waits for the client's result of a call. A call that the bridge makes twice under one id runs once and answers
// both. It returns without a result only when the run was cancelled upstream, so that nobody reads what it returns.
func (r *run) hold(ctx context.Context, call sdkv1.CustomToolCall) sdkv1.ToolResult {
	tool := r.tools.Find(call.Tool)
	if tool == nil {
		return sdkv1.ToolError(agent.NoSuchTool(r.req.Offered()))
	}
	call.Tool = tool.Name
	h := r.register(call)
	select {
	case <-h.done:
		return h.result
	case <-r.released:
	case <-ctx.Done(): // the bridge has gone
	}
	return sdkv1.ToolError("The conversation was given up.")
}

func (r *run) register(call sdkv1.CustomToolCall) *heldCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.byID[call.CallID]; known != nil && call.CallID != "" {
		return known
	}
	arguments := call.Args
	if len(arguments) == 0 || !json.Valid(arguments) {
		arguments = json.RawMessage("{}")
	}
	h := &heldCall{
		call: agent.ToolCall{ID: agent.NewCallID(), Name: call.Tool, Arguments: arguments},
		done: make(chan struct{}),
	}
	r.byID[call.CallID] = h
	r.arrived = append(r.arrived, h)
	r.last = time.Now()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return h
}

// Next implements agent.Run.
func (r *run) Next(ctx context.Context) (agent.Event, error) {
	for {
		if e, ok := r.pop(); ok {
			return e, nil
		}
		if err := r.why(); err != nil {
			return agent.Event{}, err
		}
		if r.turnOver {
			return agent.Event{}, r.stop(errDone)
		}
		at := r.current()
		// What the stream says goes before calls: they overtake it, because they come over another connection.
		select {
		case said := <-at.events:
			if err := r.take(ctx, at, said); err != nil {
				return agent.Event{}, r.stop(err)
			}
			continue
		default:
		}
		wait := r.takeCalls()
		if wait == 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case said := <-at.events:
			timer.Stop()
			if err := r.take(ctx, at, said); err != nil {
				return agent.Event{}, r.stop(err)
			}
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

func (r *run) pop() (agent.Event, bool) {
	if len(r.out) == 0 {
		return agent.Event{}, false
	}
	e := r.out[0]
	r.out = r.out[1:]
	r.yielded = true
	if e.Kind == agent.DoneKind {
		r.turnOver = true
		if e.Done.Reason != agent.ToolCalls {
			r.stop(errDone)
		}
	}
	return e, true
}

func (r *run) push(events ...agent.Event) { r.out = append(r.out, events...) }

// why is the reason for which there is nothing more to come; nil when there is more.
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

// take handles what the reader has read.
func (r *run) take(ctx context.Context, at *attempt, said said) error {
	r.progress = time.Now()
	switch {
	case said.err != nil:
		return r.broken(ctx, at, said.err)
	case said.result != nil:
		return r.finish(at, said.result)
	case said.announced > 0:
		r.announced = said.announced
	case said.text != "":
		r.meter.written += len(said.text)
		r.push(agent.Event{Kind: said.kind, Text: []byte(said.text)})
	}
	return nil
}

// takeCalls yields the calls that may be yielded, or the end of the turn when all are there. Otherwise it returns how
// long to wait before it is asked again.
func (r *run) takeCalls() (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	settle := r.backend.cfg.Settle
	settled := time.Until(r.last.Add(settle))
	if len(r.arrived) > 0 {
		// Until upstream has announced calls, text that was said before them may still be on its way.
		if r.announced == 0 && settled > 0 {
			return settled
		}
		for _, h := range r.arrived {
			call := h.call
			r.waiting[call.ID] = h
			r.meter.written += len(call.Arguments)
			r.push(agent.Event{Kind: agent.Call, Call: &call})
			r.given++
		}
		r.arrived = nil
		return 0
	}
	if r.given == 0 {
		return max(r.backend.cfg.ProgressTimeout-time.Since(r.progress), time.Millisecond)
	}
	if r.announced > r.given {
		// Some are missing. Siblings of a call were seen to come more than a second later.
		const patience = 10
		settled = time.Until(r.last.Add(patience * settle))
	} else if r.announced > 0 {
		settled = 0
	}
	if settled > 0 {
		return settled
	}
	usage := r.meter.pause()
	r.push(agent.Event{Kind: agent.UsageKind, Usage: &usage}, agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.ToolCalls}})
	r.announced, r.given = max(0, r.announced-r.given), 0
	return 0
}

// stalled is the error of a run that has said nothing for too long; nil when it may take longer.
func (r *run) stalled() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.given > 0 || len(r.arrived) > 0 || time.Since(r.progress) < r.backend.cfg.ProgressTimeout {
		return nil
	}
	return &agent.Error{Code: agent.UpstreamTimeout, Message: "The model made no progress for too long. Please try again."}
}

// finish ends the run as upstream says.
func (r *run) finish(at *attempt, result *sdkv1.RunResult) error {
	if result.Status != sdkv1.StatusFinished {
		at.finished(false)
		return resultError(result)
	}
	runs := at.finished(true)
	usage := r.meter.end(result.Usage)
	done := agent.Done{Reason: agent.Stop, Conversation: &conversation{agent: at.agent, runs: runs}}
	r.push(agent.Event{Kind: agent.UsageKind, Usage: &usage}, agent.Event{Kind: agent.DoneKind, Done: &done})
	return nil
}

// broken handles the loss of the stream. When the bridge has died before anything was yielded, a fresh conversation
// begins again, once, on a new bridge.
func (r *run) broken(ctx context.Context, at *attempt, err error) error {
	at.finished(false)
	if r.yielded || r.restarted || !at.agent.worker.died() {
		return callError(err)
	}
	if r.req.Continue != nil {
		return &agent.Error{Code: agent.ConversationLost, Err: err}
	}
	r.restarted = true
	r.backend.cfg.Log.Warn("the bridge has died, the run begins again on a new one")
	next, err := r.backend.open(ctx, r, r.req)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.attempt = next
	r.mu.Unlock()
	select {
	case <-r.closed: // meanwhile, and with the attempt before
		next.abandon()
	default:
	}
	return nil
}

// Buffered implements agent.Run.
func (r *run) Buffered() bool {
	if len(r.out) > 0 || len(r.current().events) > 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.arrived) > 0 && r.announced > 0
}

// Resume implements agent.Run.
func (r *run) Resume(_ context.Context, results []agent.ToolResult) error {
	if err := r.why(); err != nil {
		return err
	}
	if !r.turnOver {
		return r.stop(errDone)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnOver, r.progress = false, time.Now()
	for i := range results {
		if h := r.waiting[results[i].CallID]; h != nil {
			delete(r.waiting, results[i].CallID)
			h.result = toolResult(&results[i])
			close(h.done)
		}
	}
	return nil
}

// toolResult is a client's result in the contract's words.
func toolResult(result *agent.ToolResult) sdkv1.ToolResult {
	answer := sdkv1.ToolResult{IsError: result.IsError, Content: []sdkv1.ToolContent{}}
	for _, p := range agentwire.ResultParts(result) {
		if p.Image != nil {
			answer.Content = append(answer.Content, sdkv1.ToolContent{Type: "image", Data: p.Image.Data, MimeType: p.Image.MIME})
		} else {
			answer.Content = append(answer.Content, sdkv1.ToolContent{Type: "text", Text: p.Text})
		}
	}
	return answer
}

// Close implements agent.Run.
func (r *run) Close() error {
	r.closeOnce.Do(func() {
		close(r.closed)
		if at := r.current(); at != nil {
			at.abandon()
		}
		close(r.released)
	})
	return nil
}
