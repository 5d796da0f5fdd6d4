package gateway

import (
	"composer-api/internal/agent"
	"composer-api/internal/gateway/catalog"
)

// An answer is what the client has been given in one turn. It owns the sink: everything that the client gets passes
// through it, is cut at the client's limits, and is noted, so that the next request can be compared with it.
//
// It is used by one goroutine. Errors of its methods mean that the client can't be reached, and end the turn.
type answer struct {
	sink agent.Sink
	req  *agent.Request

	accepted bool // sink.Accept was called
	emitted  bool // the sink has got an event: starting the run again would repeat it
	spoke    bool // the model has written text or called a tool; thinking alone is no answer

	limit   limiter
	seen    *digester        // the transcript as the model has seen it, this answer included
	calls   []agent.ToolCall // given to the client
	held    []agent.ToolCall // announced, but given later because the client takes one at a time
	usage   *agent.Usage     // what upstream said; nil until it has
	written int              // bytes of text, thinking and arguments, for when upstream says no usage
	out     agent.Event      // what the sink is being given; here, so that an event costs no allocation
}

// newAnswer makes the answer to req. seen is the digest of req's messages; the answer goes on with it.
func newAnswer(req *agent.Request, sink agent.Sink, seen *digester) *answer {
	return &answer{req: req, sink: sink, seen: seen, limit: newLimiter(req)}
}

// restart forgets what the failed run has said. Thinking that the client has got still counts against its limits; it
// must have got nothing else.
func (a *answer) restart() {
	a.usage = nil
	if !a.emitted {
		a.limit = newLimiter(a.req)
	}
}

// accept tells the sink that the run is on, unless an earlier attempt of this turn has.
func (a *answer) accept(how agent.Accepted) error {
	if a.accepted {
		return nil
	}
	a.accepted = true
	return clientGone(a.sink.Accept(how))
}

// piece gives a piece of text or thinking as far as the client's limits let it pass. cut says why the turn must end
// after it, 0 when it goes on. Once a call was given a turn is not cut, because the client must be able to answer the
// call; what is over the limit is left out all the same.
func (a *answer) piece(kind agent.Kind, text []byte) (cut agent.Reason, err error) {
	a.spoke = a.spoke || kind == agent.Text
	limit := a.limit.text
	if kind == agent.Reasoning {
		limit = a.limit.thinking
	}
	out, cut := limit(text)
	if len(a.calls) > 0 {
		cut = 0
	}
	return cut, a.give(kind, out)
}

// rest gives the text that was held back as a possible stop text. cut says why the answer must end after it, 0 when it
// needn't.
func (a *answer) rest() (cut agent.Reason, err error) {
	rest, cut := a.limit.rest()
	return cut, a.give(agent.Text, rest)
}

func (a *answer) give(kind agent.Kind, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if kind == agent.Text {
		a.seen.assistantText(text)
	}
	a.written += len(text)
	return a.event(agent.Event{Kind: kind, Text: text})
}

// call gives a call, or holds it back while the client, which takes one at a time, has another to answer.
func (a *answer) call(c *agent.ToolCall) error {
	a.spoke = true
	if a.req.SerialToolCalls && len(a.calls) > 0 {
		a.held = append(a.held, *c)
		return nil
	}
	// Text that was held back as a possible stop text isn't one: a call follows it.
	if _, err := a.rest(); err != nil {
		return err
	}
	a.calls = append(a.calls, *c)
	a.seen.call(*c)
	a.written += len(c.Arguments)
	return a.event(agent.Event{Kind: agent.Call, Call: c})
}

// callIDs are the ids of the calls that were given.
func (a *answer) callIDs() []string {
	var ids []string
	for _, c := range a.calls {
		ids = append(ids, c.ID)
	}
	return ids
}

// spent notes what upstream says the run has cost.
func (a *answer) spent(u agent.Usage) { a.usage = &u }

// end sends the usage and the end of the turn.
func (a *answer) end(done agent.Done) error {
	usage := a.usageOrEstimate()
	usage.CostUSD = catalog.Cost(a.req.Model, usage)
	if err := a.event(agent.Event{Kind: agent.UsageKind, Usage: &usage}); err != nil {
		return err
	}
	if err := a.event(agent.Event{Kind: agent.DoneKind, Done: &done}); err != nil {
		return err
	}
	return a.flush()
}

// usageOrEstimate is what upstream said, or else our own count.
func (a *answer) usageOrEstimate() agent.Usage {
	if a.usage != nil {
		return *a.usage
	}
	return agent.Usage{Input: agent.EstimatePrompt(a.req), Output: agent.EstimateTokens(a.written), Estimated: true}
}

func (a *answer) event(e agent.Event) error {
	a.emitted = true
	a.out = e
	return clientGone(a.sink.Event(&a.out))
}

// flush sends what the sink has buffered.
func (a *answer) flush() error { return clientGone(a.sink.Flush()) }

// clientGone marks an error of the sink as the client's leaving.
func clientGone(err error) error {
	if err == nil {
		return nil
	}
	return &agent.Error{Code: agent.Canceled, Err: err}
}
