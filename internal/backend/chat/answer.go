package chat

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"composer-api/internal/agent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/cursor/markup"
)

// An answer turns the pieces of one exchange into events: a replay.Answer. It owns its exchange. Next and
// Buffered are called by one goroutine at a time, Close by any.
//
//	piece ─► joiner: whole characters ─► ThinkingFilter ─► reasoning ─────────────────► queue
//	                                          └──────────► CallFilter ─► text, calls ─► queue
//
//	ends when                                 with
//	the exchange ends well                    end: usage and Done, once
//	upstream says an error, or it is cut off  fault
//	Close, by any goroutine                   the exchange is closed, so Next returns its error
type answer struct {
	// x is closed by Close, and by nothing else.
	x      *replay.Exchange
	access *replay.Access // drops a token that upstream refuses in the stream

	// The stages of a piece: whole characters, then thinking from text, then calls from text, then the queue.
	joinThinking, joinText agent.TextJoiner
	thinking               markup.ThinkingFilter
	calls                  markup.CallFilter

	// queue has what one piece came to. Next gives all of it before it reads another piece, and
	// then uses queue and text again.
	queue   []agent.Event
	next    int    // of queue
	text    []byte // what the events in queue point to
	count   replay.Count
	done    agent.Reason
	made    int // calls
	refused []replay.Refused
	// ended says that usage and Done are in the queue.
	ended bool
}

// newAnswer begins to read the exchange, which it closes in the end. Without tools in the conversation, calls are left in the text.
//
// Nothing is read here; the exchange's own goroutine begins to, and Next takes its pieces.
func newAnswer(x *replay.Exchange, req *agent.Request, access *replay.Access) *answer {
	a := &answer{x: x, access: access, done: agent.Stop}
	a.calls = markup.CallFilter{Tools: req.Offered(), Text: a.emitter(agent.Text), Call: a.call, Refuse: a.refuse}
	a.thinking = markup.ThinkingFilter{Reasoning: a.emitter(agent.Reasoning), Text: a.calls.Write}
	if !knowsTools(req) {
		a.thinking.Text = a.calls.Text
	}
	x.Stream(readerFor(x))
	x.Progressed()
	return a
}

// knowsTools reports whether the conversation is about tools at all. Elsewhere the markup of a call is what the user has
// asked about.
func knowsTools(req *agent.Request) bool {
	return len(req.Tools) > 0 || slices.ContainsFunc(req.Messages, func(m agent.Message) bool { return len(m.Calls) > 0 })
}

// Next implements replay.Answer. The event's text is valid until the next call. Errors are *agent.Error, *cursorerr.Failure when
// another attempt may help, or ctx's.
func (a *answer) Next(ctx context.Context) (agent.Event, error) {
	for a.next == len(a.queue) {
		a.queue, a.next, a.text = a.queue[:0], 0, a.text[:0]
		piece, err := a.x.Next(ctx)
		switch {
		case err == nil:
			a.take(piece[0], piece[1:])
		case errors.Is(err, io.EOF) && !a.ended:
			a.end()
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return agent.Event{}, err
		default:
			return agent.Event{}, a.fault(err)
		}
	}
	e := a.queue[a.next]
	a.next++
	return e, nil
}

// Buffered implements replay.Answer.
func (a *answer) Buffered() bool { return a.next < len(a.queue) || a.x.Buffered() }

// Close implements replay.Answer.
func (a *answer) Close() error { return a.x.Close() }

// take puts a piece through the filters. Any piece is progress: a heartbeat makes no piece. The
// first byte of a piece says which field it comes from (inThinking, inAnswer).
func (a *answer) take(field byte, text []byte) {
	a.x.Progressed()
	if field == inThinking {
		a.thinking.WriteThinking(a.joinThinking.Add(text))
	} else {
		a.thinking.WriteText(a.joinText.Add(text))
	}
}

// end empties the filters, in the order of the stages, and queues the end of the turn. Usage is
// always an estimate, because this endpoint reports none. The joiners' rests are characters
// that never became whole; they come out as replacement characters.
func (a *answer) end() {
	a.ended = true
	a.thinking.WriteThinking(a.joinThinking.Rest())
	a.thinking.WriteText(a.joinText.Rest())
	a.thinking.End()
	a.calls.End()
	a.add(agent.Event{Kind: agent.UsageKind, Usage: a.count.Usage()})
	a.add(agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: a.done}})
}

// emitter returns a function that queues text as events of the kind. The text is copied, because a filter
// uses its buffer again.
func (a *answer) emitter(kind agent.Kind) func([]byte) {
	return func(p []byte) {
		start := len(a.text)
		a.text = append(a.text, p...) // p is a filter's own
		a.add(agent.Event{Kind: kind, Text: a.text[start:len(a.text):len(a.text)]})
	}
}

// call queues a call. An answer with one ends in agent.ToolCalls. The id is ours: this
// endpoint's calls have none, because they are text.
func (a *answer) call(name string, arguments json.RawMessage) {
	a.done = agent.ToolCalls
	a.made++
	a.add(agent.Event{Kind: agent.Call, Call: &agent.ToolCall{ID: agent.NewCallID(), Name: name, Arguments: arguments}})
}

// refuse notes a call that can't be made. The client doesn't see it; the run tells the model
// why (replay.Answer.Refused). It counts as output: the model has written it.
func (a *answer) refuse(r markup.Refusal) {
	call := agent.ToolCall{ID: agent.NewCallID(), Name: r.Name, Arguments: r.Arguments}
	a.refused = append(a.refused, replay.Refused{Call: call, Why: r.Why, After: a.made})
	a.count.Event(&agent.Event{Kind: agent.Call, Call: &call})
}

// Refused implements replay.Answer.
func (a *answer) Refused() []replay.Refused { return a.refused }

// add queues an event, and counts it for the estimate.
func (a *answer) add(e agent.Event) {
	a.count.Event(&e)
	a.queue = append(a.queue, e)
}
