package control

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/markup"
)

// Composer writes tool calls as text, between markers, and its server reads them. Where the server has missed one, the
// markers are in the text that we get. Such a call is taken out of the text and given to the client like any other. But
// upstream waits for no result of it: the run goes on to its end, and the result starts the next one, as a message in the
// same conversation.

// written are the calls of a run that the model wrote as text.
//
// One goroutine uses it, as with the rest of Run. The markers and their grammar are in package
// cursor/markup.
type written struct {
	filter *markup.CallFilter // nil where text is text: no tools, or the backend reads the markers itself
	calls  []agent.ToolCall   // in this turn of upstream's, given or refused
	// over says that upstream's run has ended, and from is its conversation: the results start another run there. from is nil
	// when it can't be continued.
	over bool
	from agent.Conversation
	err  error // of a call that the filter has found
}

// readMarkup makes the filter for the next turn of upstream's. A filter serves one turn of
// upstream's, up to its End.
func (r *Run) readMarkup() {
	r.written.filter = nil
	if _, reads := r.backend.(agent.MarkupReader); reads || len(r.turn.req.Tools) == 0 {
		return
	}
	r.written.filter = &markup.CallFilter{Tools: r.turn.req.Offered(), Text: r.text, Call: r.writtenCall, Refuse: r.refuseWritten}
}

// hasMarkup reports whether a piece of text must go through the filter. All others pass by it:
// that is nearly all text. A marker begins with '<'. Once the filter keeps something back, all
// text has to go through it, to stay in order.
func (w *written) hasMarkup(text []byte) bool {
	return w.filter != nil && (bytes.IndexByte(text, '<') >= 0 || w.filter.Keeps())
}

// endMarkup gives out what the filter has kept, at the end of upstream's turn: then it is certain which calls there are.
func (r *Run) endMarkup() error {
	if r.written.filter != nil {
		r.written.filter.End()
		r.readMarkup() // another run of upstream's may follow in this turn
	}
	return r.written.err
}

// writtenCall takes a call that the filter has found. The filter has no way to return an error,
// so the first one waits in written.err.
func (r *Run) writtenCall(name string, arguments json.RawMessage) {
	c := agent.ToolCall{ID: agent.NewCallID(), Name: name, Arguments: arguments}
	r.written.calls = append(r.written.calls, c)
	if err := r.call(c); err != nil && r.written.err == nil {
		r.written.err = err
	}
}

// refuseWritten takes a call that can't be made. The model is told, and the client does not see it.
//
// It counts as a call that upstream has made, so its result goes the same way as those of the others.
func (r *Run) refuseWritten(refused markup.Refusal) {
	c := agent.ToolCall{ID: agent.NewCallID(), Name: refused.Name, Arguments: refused.Arguments}
	r.written.calls = append(r.written.calls, c)
	r.calls.refused = append(r.calls.refused, agent.ToolResult{CallID: c.ID, IsError: true, Parts: []agent.Part{{Text: refused.Why}}})
}

// deliver gives results to upstream: to the run that waits for them, or to a new one in the same conversation.
//
//	upstream's run has ended (over)   all results start the next run, as messages
//	upstream waits for other calls    results of written calls go along with the last of these, as text
//
// Upstream knows no call for what the model has only written, so a result for it can't be sent as one.
func (r *Run) deliver(ctx context.Context, results []agent.ToolResult) error {
	of := r.written.calls
	r.written.calls = nil
	if r.written.over {
		r.written.over = false
		return r.startWithResults(ctx, of, results)
	}
	var waited []agent.ToolResult // for by upstream
	var others []string
	var said []agent.Part
	for i := range results {
		said = append(said, results[i].Said...)
		if c := find(of, results[i].CallID); c != nil {
			m := agent.Message{Parts: results[i].Parts}
			others = append(others, "\n\nThe result of the call of "+c.Name+" that you wrote as text:\n"+m.Text())
		} else {
			waited = append(waited, results[i])
		}
	}
	if len(others) > 0 && len(waited) > 0 {
		last := &waited[len(waited)-1]
		last.Said = said
		last.Parts = append(slices.Clip(last.Parts), agent.Part{Text: strings.Join(others, "")})
	}
	return r.inner.Resume(ctx, waited)
}

// startWithResults starts the run that reads the results of calls, all of which were written as text. The client's request
// tells of those that it has seen; the others are added.
//
// known is where in the request the calls begin: from there on the messages are new to upstream.
// Those before it upstream has in its conversation (written.from), or gets too when it has lost that.
func (r *Run) startWithResults(ctx context.Context, of []agent.ToolCall, results []agent.ToolResult) error {
	req := *r.req
	known := slices.IndexFunc(req.Messages, func(m agent.Message) bool {
		return slices.ContainsFunc(m.Calls, func(c agent.ToolCall) bool { return find(of, c.ID) != nil })
	})
	end := agent.FirstNew(req.Messages) // of the calls and their results
	if known < 0 {
		known = len(req.Messages)
		end = known
	}
	unseen := agent.Message{Role: agent.Assistant}
	var answers []agent.Message
	for i := range results {
		id := results[i].CallID
		told := func(m agent.Message) bool { return m.Role == agent.ToolRole && m.CallID == id }
		seen := func(m agent.Message) bool { return find(m.Calls, id) != nil }
		if slices.ContainsFunc(req.Messages[known:], told) {
			continue
		}
		if c := find(of, id); c != nil && !slices.ContainsFunc(req.Messages[known:], seen) {
			unseen.Calls = append(unseen.Calls, *c)
		}
		answers = append(answers, agent.Message{Role: agent.ToolRole, CallID: id, Parts: results[i].Parts, IsError: results[i].IsError})
	}
	added := answers
	if len(unseen.Calls) > 0 {
		added = append([]agent.Message{unseen}, answers...)
	}
	req.Messages = slices.Concat(req.Messages[:end], added, req.Messages[end:])
	r.req = &req
	from := r.written.from
	r.written.from = nil
	return r.carryOn(ctx, from, known)
}

// find is the call with this id; nil when there is none.
func find(calls []agent.ToolCall, id string) *agent.ToolCall {
	for i := range calls {
		if calls[i].ID == id {
			return &calls[i]
		}
	}
	return nil
}

// errUnreadable is the error for a model that writes calls which can't be made, whatever it is told.
var errUnreadable = &agent.Error{Code: agent.Upstream, Final: true,
	Message: "The model keeps writing tool calls that can't be made. Please try again."}
