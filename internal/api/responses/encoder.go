package responses

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
)

// Options are what an Encoder needs besides its request. Only ID is required.
type Options struct {
	// ID is the response's id, from [NewID]. Items' ids are derived from it.
	ID string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// SealReasoning and SealCompaction encrypt what the client keeps for us: thinking that it asked for
	// as encrypted_content, and the summary of a compaction. Without the first, reasoning has no
	// encrypted_content; the second is needed when Request.Compact is set.
	SealReasoning, SealCompaction func(plain []byte) (string, error)
	// Keep, when not nil, is called with the whole response once it has ended and before the client
	// learns that, so that a response which the client knows to be complete can be found. When it
	// fails, the response says store: false. It must not use the encoder, and must not keep r.
	Keep func(r *Response) error
	// SSE says how an Answer's stream treats its connection.
	SSE sse.Config
}

// NewID makes a response's id.
func NewID() string { return agent.NewID(responseIDPrefix, responseIDRandom) }

// IDOf is the id of the response of all attempts with that name (api.Attempt). It looks like any other, and only who knows the name
// can tell it.
func IDOf(attempt string) string {
	sum := sha256.Sum256([]byte(attempt))
	return responseIDPrefix + hex.EncodeToString(sum[:])[:responseIDRandom]
}

// An Encoder turns the events of one turn into a response object and, when it was made by [NewStream], into the events of
// a stream. It is an agent.Sink. One goroutine may use it.
//
//	        Queue              Accept               Event(Done), Fail, Cancel, Interrupt
//	(new) ──────────► queued ──────────► in_progress ────────────────────────────────────► ended
//	  └────────────────────── Accept ────────┘
//
// Text and thinking go into the open item; an event of another kind closes it. Calls are items that are complete at once.
//
// It knows nothing of HTTP and of stores: where events go is the watcher's affair, and what is
// kept is Options.Keep's.
type Encoder struct {
	// req and opt don't change. The request is repeated in every event that holds the whole response.
	req *Request
	opt Options
	// resp is the response so far: what GET would answer now.
	resp    Response
	open    *item   // the message or reasoning that is still being written
	summary []byte  // the summary, in a compaction turn
	steps   watcher // nil for a body
}

// A watcher is told each step of making a response, in order. stream is the only one; an Encoder without one makes only the
// response object. For each item: added, any number of deltas, done.
//
// An error of a watcher means that the client can't be reached. The Encoder passes it on, and
// the turn ends with it.
type watcher interface {
	created(r *Response) error
	inProgress(r *Response) error
	added(it *item) error
	delta(it *item, text []byte) error
	done(it *item, wire jsontext.Value) error
	failed(f *Failure) error
	ended(r *Response) error
	flush() error
}

// NewBody makes an Encoder whose only result is the response object.
func NewBody(req *Request, opt Options) *Encoder {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	e := &Encoder{req: req, opt: opt, resp: req.echo()}
	e.resp.ID = opt.ID
	e.resp.CreatedAt = opt.Now().Unix()
	return e
}

// NewStream makes an Encoder that writes a stream of events to out. It flushes out at the steps that a client waits for, and
// when Flush is called.
func NewStream(req *Request, opt Options, out Out) *Encoder {
	e := NewBody(req, opt)
	e.steps = &stream{out: out}
	return e
}

// Response is the response in its present state. It is valid until the next event.
func (e *Encoder) Response() *Response { return &e.resp }

// Queue announces the response before upstream has accepted it: the first step of a background response. Accept then goes on
// where Queue has stopped.
func (e *Encoder) Queue() error {
	e.resp.Status = Queued
	if e.steps == nil {
		return nil
	}
	return e.steps.created(&e.resp)
}

// Accept implements agent.Sink. It begins the response: upstream has accepted the run.
func (e *Encoder) Accept(a agent.Accepted) error {
	// A background response was announced by Queue.
	announced := e.resp.Status == Queued
	// What ran, and not the alias that was asked for. Clients show it.
	e.resp.Model = cmp.Or(a.Model.Ran(), e.resp.Model)
	e.resp.Status = InProgress
	if e.steps == nil {
		return nil
	}
	if announced {
		return e.steps.inProgress(&e.resp)
	}
	return e.steps.created(&e.resp)
}

// Rewind implements agent.Rewinder: only an Encoder without a stream can. Its items come to have the same ids again.
func (e *Encoder) Rewind() bool {
	if e.steps != nil || e.resp.Status.Ended() {
		return false
	}
	before := e.resp
	*e = *NewBody(e.req, e.opt)
	e.resp.Model, e.resp.Status, e.resp.CreatedAt = before.Model, before.Status, before.CreatedAt
	return true
}

// Event implements agent.Sink. Text of the event is copied: the caller may use its memory again.
//
//	event             what happens
//	Text              a delta of a message, which is opened if it is not open
//	Reasoning         the same for a reasoning item
//	Refusal           the same for a message that declines
//	Call              the open item is done; the call is added and done at once
//	Usage             kept until the end event
//	Done              the open item is done; the response ends
func (e *Encoder) Event(ev *agent.Event) error {
	switch ev.Kind {
	case agent.Text:
		return e.text(ev.Text)
	case agent.Reasoning:
		return e.write(reasoningItem, ev.Text)
	case agent.Refusal:
		return e.write(refusalItem, ev.Text)
	case agent.Call:
		return e.call(ev.Call)
	case agent.UsageKind:
		e.resp.setUsage(ev.Usage)
	case agent.DoneKind:
		return e.end(ev.Done.Reason)
	}
	return nil
}

// Flush implements agent.Sink.
func (e *Encoder) Flush() error {
	if e.steps == nil {
		return nil
	}
	return e.steps.flush()
}

// Fail ends the response with an error, in place of further events. A stream has the error twice, because Codex reads only
// response.failed and openai-node only the error event.
func (e *Encoder) Fail(failure *agent.Error) error {
	e.resp.Error = newFailure(failure)
	return e.endEarly(Failed)
}

// Cancel ends a response that its client no longer wants. What was written so far stays in it.
func (e *Encoder) Cancel() error {
	return e.endEarly(Cancelled)
}

// endEarly ends a response whose turn has not ended. The open item is ended as incomplete. The response is kept even if nobody
// listens any more, and so even if the stream can't be written.
func (e *Encoder) endEarly(status Status) error {
	// An error is the watcher's: the client can't be reached, and the rest is done without it.
	err := e.close(Incomplete)
	e.resp.Status = status
	e.keep()
	if err != nil || e.steps == nil {
		return err
	}
	if e.resp.Error != nil {
		if err := e.steps.failed(e.resp.Error); err != nil {
			return err
		}
	}
	return e.finish()
}

// text adds to the answer, or, in a compaction turn, to the summary.
func (e *Encoder) text(text []byte) error {
	if e.req.Compact {
		e.summary = append(e.summary, text...)
		return nil
	}
	return e.write(messageItem, text)
}

// write adds text to the open item, after opening one of this kind if there is none.
func (e *Encoder) write(kind itemKind, text []byte) error {
	if e.req.Compact {
		return nil // the thinking behind a summary is not shown
	}
	// Thinking after text opens a new item, and text after that another: the order is what clients
	// show.
	if e.open == nil || e.open.kind != kind {
		if err := e.openItem(kind); err != nil {
			return err
		}
	}
	e.open.text = append(e.open.text, text...)
	if e.steps == nil || e.open.hidden {
		return nil
	}
	return e.steps.delta(e.open, text)
}

// openItem closes the open item, if there is one, and opens another. Thinking is hidden when the client has asked for no
// summary: its item is announced without a part, and its text goes only into encrypted_content.
func (e *Encoder) openItem(kind itemKind) error {
	if err := e.close(Completed); err != nil {
		return err
	}
	e.open = e.newItem(kind)
	e.open.hidden = kind == reasoningItem && e.req.noSummary()
	return e.added(e.open)
}

// newItem makes the next item of the output. Its index is its place in the output, because
// items are done in the order in which they are opened.
func (e *Encoder) newItem(kind itemKind) *item {
	index := len(e.resp.Output)
	return &item{kind: kind, index: index, id: outputItemID(e.resp.ID, kind, index), status: InProgress}
}

// close ends the open item, if there is one. Reasoning is sealed then, if the client asked for that. The client sends the
// sealed thinking back with its next request; nothing reads it there yet (see itemTypes), but clients expect the member.
func (e *Encoder) close(status Status) error {
	it := e.open
	if it == nil {
		return nil
	}
	// Before sealing, so that an error leaves no item half closed.
	e.open = nil
	if it.kind == reasoningItem && e.req.encryptedReasoning && e.opt.SealReasoning != nil {
		sealed, err := e.opt.SealReasoning(it.text)
		if err != nil {
			return &agent.Error{Code: agent.Internal, Err: err}
		}
		it.sealed = sealed
	}
	return e.done(it, status)
}

// call adds a whole tool call, in the form that its tool has for the client. Calls come in one piece from upstream, so a call
// that has deltas on the wire has exactly one.
func (e *Encoder) call(c *agent.ToolCall) error {
	if err := e.close(Completed); err != nil {
		return err
	}
	form, text := e.req.tools.clientCall(c)
	it := e.newItem(form.kind)
	it.callID, it.name, it.namespace = c.ID, form.name, form.namespace
	if it.kind.whole() {
		it.text = text
	}
	if err := e.added(it); err != nil {
		return err
	}
	it.text = text
	if e.steps != nil && !it.kind.whole() {
		if err := e.steps.delta(it, text); err != nil {
			return err
		}
	}
	return e.done(it, Completed)
}

// added announces an item.
func (e *Encoder) added(it *item) error {
	if e.steps == nil {
		return nil
	}
	return e.steps.added(it)
}

// done puts a finished item into the output. The bytes in the output are exactly those of its event.
func (e *Encoder) done(it *item, status Status) error {
	it.status = status
	wire := openai.Encode(it.wire())
	e.resp.Output = append(e.resp.Output, wire)
	if e.steps == nil {
		return nil
	}
	return e.steps.done(it, wire)
}

// end ends the response at the end of its turn. An answer that was cut off at its token limit is incomplete; one that ends in
// calls is completed, as is one that ends at a stop text.
//
// The order of the last steps is fixed: the item, the status, keep, and only then the event that
// tells the client. So a client that has seen response.completed finds the response in the store.
func (e *Encoder) end(reason agent.Reason) error {
	status := Completed
	if reason == agent.Length {
		status = Incomplete
		e.resp.IncompleteDetails = &IncompleteDetails{Reason: "max_output_tokens"}
	}
	if err := e.close(status); err != nil {
		return err
	}
	if e.req.Compact {
		if err := e.compaction(); err != nil {
			return err
		}
	}
	e.resp.Status = status
	if status == Completed {
		// Only a completed response has the time of its completion.
		now := e.opt.Now().Unix()
		e.resp.CompletedAt = &now
	}
	e.keep()
	if e.steps == nil {
		return nil
	}
	return e.finish()
}

// compaction seals the summary and makes it the response's only item.
func (e *Encoder) compaction() error {
	summary := bytes.TrimSpace(e.summary)
	if len(summary) == 0 {
		return agent.Errorf(agent.Upstream, "The model gave no summary of the conversation. Please try again.")
	}
	sealed, err := e.opt.SealCompaction(summary)
	if err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	it := e.newItem(compactionItem)
	it.sealed = sealed
	if err := e.added(it); err != nil {
		return err
	}
	return e.done(it, Completed)
}

// keep calls Options.Keep. It comes before the client learns that the response has ended.
func (e *Encoder) keep() {
	if e.opt.Keep != nil && e.opt.Keep(&e.resp) != nil {
		e.resp.Store = false
	}
}

// finish announces the end of the response.
func (e *Encoder) finish() error {
	if err := e.steps.ended(&e.resp); err != nil {
		return err
	}
	return e.steps.flush()
}
