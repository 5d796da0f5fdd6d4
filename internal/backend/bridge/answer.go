package bridge

import (
	"context"
	"errors"
	"slices"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// An answer turns upstream's frames into the events of one turn, up to the first tool call: a replay.Answer.
// It owns its exchange. Next and Buffered are called by one goroutine at a time, Close by any.
//
// It ends with the first of: a call, the end of the turn upstream, an error, Close. What it has
// queued by then is given before the error.
//
//	frames ── take ──► queue ──► Next
//	                    ├ text and thinking, as they come
//	                    └ at the end: a call or nothing, usage, Done
type answer struct {
	// x is closed by Close. offered are the tools that the model may call.
	x       *replay.Exchange
	offered []agent.Tool
	access  *replay.Access

	text, thinking agent.TextJoiner
	queue          []agent.Event // the end of the turn, in order
	count          replay.Count  // for when upstream doesn't say
	usage          *agent.Usage  // what upstream has said; set once the turn has ended
	refused        []replay.Refused
}

// newAnswer starts to read the exchange, which the answer's Close closes. req is used for the estimate of
// the prompt.
//
// The goroutine that reads belongs to the exchange, and ends with it.
func newAnswer(x *replay.Exchange, req *agent.Request, access *replay.Access) *answer {
	a := &answer{x: x, offered: req.Offered(), access: access}
	for i := range req.Messages {
		for _, p := range req.Messages[i].Parts {
			if p.Image != nil {
				// An image counts as one, whatever its size.
				a.count.Prompt("", 1)
			}
			a.count.Prompt(p.Text, 0)
		}
	}
	in := connectwire.NewReader(x, 0)
	x.Stream(func(yield func([]byte) bool) error {
		for {
			payload, err := in.Next()
			if err != nil {
				return err
			}
			// The answer is closed, so nobody reads the error.
			if !yield(payload) {
				return context.Canceled
			}
		}
	})
	x.Progressed()
	return a
}

// afterTurn is how long upstream's end frame is awaited once the turn has ended. It may bring another
// turn_ended, with more costs; if nothing comes, the turn has ended all the same.
const afterTurn = 2 * time.Second

// Next implements replay.Answer. Errors are *agent.Error, *cursorerr.Failure when another
// attempt may help, or ctx's.
func (a *answer) Next(ctx context.Context) (agent.Event, error) {
	for len(a.queue) == 0 {
		payload, err := a.next(ctx)
		switch {
		case err == nil:
			if err := a.take(payload); err != nil {
				return agent.Event{}, err
			}
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return agent.Event{}, err
		case a.usage != nil: // whatever happens after the end of the turn
			a.end(agent.Stop, a.usage)
		default:
			return agent.Event{}, a.fault(err)
		}
	}
	e := a.queue[0]
	a.queue = a.queue[1:]
	return e, nil
}

// next returns the next frame. Once the turn has ended it waits no longer than afterTurn for
// what comes after. The end of that time is an error like any other after the end of the turn.
func (a *answer) next(ctx context.Context) ([]byte, error) {
	if a.usage == nil {
		return a.x.Next(ctx)
	}
	brief, cancel := context.WithTimeout(ctx, afterTurn)
	defer cancel()
	return a.x.Next(brief)
}

// Buffered implements replay.Answer.
func (a *answer) Buffered() bool { return len(a.queue) > 0 || a.x.Buffered() }

// Close implements replay.Answer.
func (a *answer) Close() error { return a.x.Close() }

// Refused implements replay.Answer.
func (a *answer) Refused() []replay.Refused { return a.refused }

// take reads one message and queues its events. Errors are *agent.Error. A message is text, or
// an update, or an exec; checkpoints, blobs and questions are for the bridge, which has the
// stream. A kind that isn't handled is passed over.
//
// The text of m is valid until the next frame, so emit copies it.
func (a *answer) take(payload []byte) error {
	var m agentwire.ServerMessage
	if err := m.Parse(payload); err != nil {
		return &agent.Error{Code: agent.Upstream, Message: "The bridge sent what can't be understood.", Err: err}
	}
	switch m.Kind {
	case agent.Text:
		a.x.Progressed()
		a.emit(m.Kind, a.text.Add(m.Text))
	case agent.Reasoning:
		a.x.Progressed()
		a.emit(m.Kind, a.thinking.Add(m.Text))
	}
	switch m := m.Other.GetMessage().(type) { // nil is no message
	case *pb.AgentServerMessage_InteractionUpdate:
		a.update(m.InteractionUpdate)
	case *pb.AgentServerMessage_ExecServerMessage:
		return a.exec(m.ExecServerMessage)
	}
	return nil
}

// update handles an interaction update. Everything but a heartbeat counts as progress.
func (a *answer) update(u *pb.InteractionUpdate) {
	switch m := u.GetMessage().(type) {
	case *pb.InteractionUpdate_Heartbeat:
		return
	case *pb.InteractionUpdate_TurnEnded:
		a.ended(m.TurnEnded)
	}
	a.x.Progressed()
}

// ended adds up the costs that upstream reports. There are several when sub-agents had turns of their own.
func (a *answer) ended(t *pb.TurnEnded) {
	if a.usage == nil {
		a.usage = &agent.Usage{}
	}
	agentwire.AddCost(a.usage, t)
}

// exec handles an operation that upstream asks for:
//
//	a call of one of the client's tools   ends the turn
//	a call of a tool that isn't there     nothing now: the model is told in the next turn
//	request context, MCP state, precheck  nothing: the bridge answers them, or nobody can
//	anything else                         an error: the model waits for an answer that can't be sent
func (a *answer) exec(m *pb.ExecServerMessage) error {
	switch m.GetMessage().(type) {
	case *pb.ExecServerMessage_RequestContextArgs, *pb.ExecServerMessage_McpStateExecArgs,
		*pb.ExecServerMessage_McpAllowlistPrecheckArgs:
		return nil
	}
	args := m.GetMcpArgs()
	if args == nil {
		return &agent.Error{Code: agent.Upstream, Message: "The model asked for a tool that is not among the client's, and the bridge can't tell it so. Please try again."}
	}
	name, ours := agentwire.CalledTool(args)
	if !ours {
		name = args.GetName()
	}
	call := agent.ToolCall{ID: agent.NewCallID(), Name: name, Arguments: agentwire.ArgumentsJSON(args.GetArgs())}
	// What was said before the call goes before it.
	a.rest()
	if tool := agent.IndexTools(a.offered).Find(name); ours && tool != nil {
		call.Name = tool.Name
		a.add(agent.Event{Kind: agent.Call, Call: &call})
		a.end(agent.ToolCalls, a.count.Usage())
	} else {
		a.refused = append(a.refused, replay.Refused{Call: call, Why: agent.NoSuchTool(a.offered)})
		a.end(agent.Stop, a.count.Usage())
	}
	return a.x.Close() // the caller of a bridge ends its request at the first call
}

// end queues the end of the turn. Nothing is queued after it.
//
// Usage comes before Done, as the contract of a run asks.
func (a *answer) end(reason agent.Reason, usage *agent.Usage) {
	a.rest()
	a.add(agent.Event{Kind: agent.UsageKind, Usage: usage})
	a.add(agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: reason}})
}

// rest queues the bytes of characters that were never completed.
func (a *answer) rest() {
	a.emit(agent.Reasoning, a.thinking.Rest())
	a.emit(agent.Text, a.text.Rest())
}

// emit queues text as an event, if there is any.
func (a *answer) emit(kind agent.Kind, text []byte) {
	if len(text) > 0 {
		a.add(agent.Event{Kind: kind, Text: slices.Clone(text)}) // the joiner uses its memory again
	}
}

// add queues an event, and counts it for the estimate. e must not share memory that is used again.
func (a *answer) add(e agent.Event) {
	a.count.Event(&e)
	a.queue = append(a.queue, e)
}
