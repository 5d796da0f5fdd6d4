package sdkbridge

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/sdkv1"
)

// The calls of a run, from the bridge's callback to the client's result. What upstream calls
// parallel calls are callbacks that are open at the same time.
//
//	a call is   in r.            moved on by
//	arrived     arrived, byID    takeCalls, when all of the turn are there or have had their time
//	waiting     waiting, byID    Resume, with its result
//	answered    answered, byID   forgetAnswered, when the next calls are given
//	forgotten   byID             nothing: it points to the one answered call that stands for all

// A heldCall is a callback of the bridge that waits for the client's result.
//
// result is written once, by Resume, before done is closed; whoever has seen done closed may read it.
type heldCall struct {
	id     string // upstream's
	call   agent.ToolCall
	done   chan struct{} // closed when result is there
	result sdkv1.ToolResult
}

// hold waits for the client's result of a call. A call that the bridge makes twice under one id runs once and answers
// both. It returns without a result only when the run was cancelled upstream, or the bridge has gone, so that nobody reads
// what it returns.
//
// The callback's goroutine waits here as long as the client needs, up to the run's end. ctx
// ends with the bridge's request.
func (r *run) hold(ctx context.Context, call sdkv1.CustomToolCall) sdkv1.ToolResult {
	h, refusal := r.register(call)
	if h == nil {
		return sdkv1.ToolError(refusal)
	}
	select {
	case <-h.done:
		return h.result
	case <-r.released:
	case <-ctx.Done():
	}
	return sdkv1.ToolError("The conversation was given up.")
}

// answered stands for calls that were answered some turns ago, of which nobody will ask again. Their arguments and results
// are not kept: a run may make hundreds of calls.
var answered = func() *heldCall {
	h := &heldCall{done: make(chan struct{}), result: sdkv1.ToolError("This call was answered before.")}
	close(h.done)
	return h
}()

// forgetAnswered lets go of the calls that were answered when this turn began. mu is held.
func (r *run) forgetAnswered() {
	for _, h := range r.answered {
		r.byID[h.id] = answered
	}
	r.answered = nil
}

// register makes a call wait for its result. It returns nil, and what the model is told instead, when the client has no
// such tool, or no longer has.
//
// A call under a known id is the same call once more: both callbacks get the one result. Calls
// without an id are never the same.
func (r *run) register(call sdkv1.CustomToolCall) (h *heldCall, refusal string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Both callbacks wait for the one result (see hold).
	if known := r.byID[call.CallID]; known != nil && call.CallID != "" {
		return known, ""
	}
	tool := r.tools.Find(call.Tool)
	if tool == nil {
		return nil, agent.NoSuchTool(r.offered)
	}
	arguments := call.Args
	// What isn't JSON can't be handed to a client, whose parser would fail on the whole answer. The
	// tool itself complains of what is missing.
	if len(arguments) == 0 || !json.Valid(arguments) {
		arguments = json.RawMessage("{}")
	}
	h = &heldCall{
		id:   call.CallID,
		call: agent.ToolCall{ID: agent.NewCallID(), Name: tool.Name, Arguments: arguments},
		done: make(chan struct{}),
	}
	r.byID[call.CallID] = h
	r.arrived = append(r.arrived, h)
	r.last = time.Now()
	select {
	// Next may be told already, and then looks at all calls at once.
	case r.wake <- struct{}{}:
	default:
	}
	return h, ""
}

// order notes that the model makes a call. Callbacks come over connections of their own, and may overtake each other.
func (r *run) order(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.places[id]; !known {
		r.places[id] = len(r.places)
	}
}

// place is where a call stands in the order of the model; those of which it hasn't said come last. mu is held.
func (r *run) place(h *heldCall) int {
	if place, known := r.places[h.id]; known {
		return place
	}
	return len(r.places)
}

// answeredElsewhere notes that a call has got its result, maybe from the bridge itself: one of
// a tool that it doesn't know never comes to us, although it was announced. Without this, a
// turn would wait for a call that never comes.
func (r *run) answeredElsewhere(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[id] == nil {
		r.announced = max(0, r.announced-1)
	}
}

// missingPatience is how many settle times to wait for calls that were announced and have not come. Siblings of a call were
// seen to come more than a second later.
const missingPatience = 10

// takeCalls yields the calls of a turn and its end, when all are there. Otherwise it returns how long to wait before it is
// asked again.
//
// The result 0 means that something is in out now. The client gets the calls in the order in
// which the model makes them, not in which they came.
func (r *run) takeCalls() (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.arrived) == 0 {
		return max(r.backend.cfg.ProgressTimeout-time.Since(r.progress), time.Millisecond)
	}
	// Until upstream has announced calls, text that was said before them may still be on its way.
	//
	// Each call that comes begins the time anew (last), so calls that trickle in are kept together.
	patience := r.backend.cfg.Settle
	if r.announced > 0 {
		patience *= missingPatience
	}
	if len(r.arrived) < r.announced || r.announced == 0 {
		if wait := time.Until(r.last.Add(patience)); wait > 0 {
			return wait
		}
	}
	r.forgetAnswered()
	slices.SortStableFunc(r.arrived, func(a, b *heldCall) int { return cmp.Compare(r.place(a), r.place(b)) })
	for _, h := range r.arrived {
		call := h.call
		r.waiting[call.ID] = h
		r.written += len(call.Arguments)
		// Every call counts as output of the model, in bytes of its arguments.
		r.push(agent.Event{Kind: agent.Call, Call: &call})
	}
	r.announced = max(0, r.announced-len(r.arrived))
	r.arrived = nil
	usage := r.meter.Pause(r.prompt, r.output())
	r.push(agent.Event{Kind: agent.UsageKind, Usage: &usage}, agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.ToolCalls}})
	return 0
}

// Resume implements agent.Run.
//
// It does not wait: each result wakes the callback that waits for it. Results for calls that are not
// waiting are dropped. prompt grows by what the model now reads: its own calls and the results.
func (r *run) Resume(_ context.Context, results []agent.ToolResult) error {
	// A run that has ended while it was parked says so here; the gateway then starts another.
	if err := r.why(); err != nil {
		return err
	}
	if !r.turnOver {
		return r.stop(errDone)
	}
	r.current().park(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnOver, r.progress = false, time.Now()
	// What the model has written so far it will read again with the results.
	r.prompt += agent.EstimateTokens(r.written) - r.grown
	r.grown = agent.EstimateTokens(r.written)
	for i := range results {
		r.prompt += agent.EstimateTokens(sizeOf(&results[i]))
		if h := r.waiting[results[i].CallID]; h != nil {
			delete(r.waiting, results[i].CallID)
			h.result = toolResult(&results[i], r.note)
			// A note for the model goes with one result and no other.
			r.note = ""
			r.answered = append(r.answered, h)
			close(h.done)
		}
	}
	return nil
}

// sizeOf is how many bytes of text a result has, for the estimate of the prompt.
func sizeOf(result *agent.ToolResult) int {
	size := 0
	for _, p := range result.Parts {
		size += len(p.Text)
	}
	return size
}

// toolResult is a client's result in the contract's words.
func toolResult(result *agent.ToolResult, note string) sdkv1.ToolResult {
	answer := sdkv1.ToolResult{IsError: result.IsError, Content: []sdkv1.ToolContent{}}
	for _, p := range agentwire.ResultParts(result, note) {
		if p.Image != nil {
			answer.Content = append(answer.Content, sdkv1.ToolContent{Type: "image", Data: p.Image.Data, MimeType: p.Image.MIME})
		} else {
			answer.Content = append(answer.Content, sdkv1.ToolContent{Type: "text", Text: p.Text})
		}
	}
	return answer
}
