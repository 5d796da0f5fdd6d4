package gateway

import (
	"composer-api/internal/agent"
	"composer-api/internal/gateway/catalog"
)

// An answer is what the client has been given in one turn. It owns the sink: everything that the client gets
// passes through it and is recorded, so that the next request can be compared with it.
//
// It is used by one goroutine. Errors of its methods mean that the client can't be reached or that the answer
// is too large, and end the turn.
//
// It belongs to one turn and outlives the turn's runs: when a run fails before the client has
// got anything but thinking, the same answer goes on with the next one (restart). After answered is true,
// that is possible only if the sink has kept all to itself (takeBack), because a client can't be told to forget what it has read.
type answer struct {
	// sink is the surface's. Nobody else calls it during the turn.
	sink agent.Sink
	// req is only read.
	req *agent.Request

	accepted bool // sink.Accept was called
	emitted  bool // the sink has got an event
	answered bool // and not only thinking: starting the run again would repeat it

	seen    *digester        // the transcript as the model has seen it, this answer included
	calls   []agent.ToolCall // given to the client
	usage   *agent.Usage     // what upstream has reported; nil until it has
	written int              // bytes of text, thinking and arguments, for when upstream reports no usage
	out     agent.Event      // what the sink is being given; here, so that an event costs no allocation
}

// newAnswer makes the answer to req. seen is the digest of req's messages, to which the answer is added.
func newAnswer(req *agent.Request, sink agent.Sink, seen *digester) *answer {
	return &answer{req: req, sink: sink, seen: seen}
}

// takeBack prepares the answer for another run. It has the sink forget what it was given. When the client has got some of it, that is
// possible only if it was thinking, which the next run's follows then; else takeBack reports false and does nothing. seen is the digest
// of the request's messages once more, without this answer.
func (a *answer) takeBack(seen func() *digester) bool {
	switch {
	case !a.emitted:
		return true
	case !agent.Rewind(a.sink):
		return !a.answered
	}
	a.emitted, a.answered, a.calls, a.written, a.seen = false, false, nil, 0, seen()
	return true
}

// restart forgets what a failed run has reported. The client must have got nothing of it but
// thinking. seen needs no care: thinking is not part of it.
func (a *answer) restart() { a.usage = nil }

// accept tells the sink that upstream has accepted the run, unless an earlier attempt of this turn has done so.
func (a *answer) accept(how agent.Accepted) error {
	if a.accepted {
		return nil
	}
	a.accepted = true
	return clientGone(a.sink.Accept(how))
}

// piece gives the client a piece of text or thinking, and adds text to the transcript that the next request will have.
//
// text is the run's and valid only during this call. The sink gets it as it is and must not
// keep it (see agent.Sink); the digester copies what it needs.
func (a *answer) piece(kind agent.Kind, text []byte) error {
	if kind == agent.Reasoning {
		a.seen.thinking(text)
	} else { // clients send a refusal back as text
		a.seen.answerText(text)
	}
	if err := a.wrote(len(text)); err != nil {
		return err
	}
	return a.event(agent.Event{Kind: kind, Text: text})
}

// call gives the client a call.
//
// The transcript gets the call as this client will send it back: a custom tool's input comes
// back without the JSON around it, for example, and Echo says what that looks like. The client
// itself gets the call as it is, and so does the list that the parked run is compared with.
func (a *answer) call(c *agent.ToolCall) error {
	a.calls = append(a.calls, *c)
	echo := *c
	if a.req.Echo != nil {
		echo.Arguments = a.req.Echo(c)
	}
	a.seen.call(echo)
	if err := a.wrote(len(c.Arguments)); err != nil {
		return err
	}
	return a.event(agent.Event{Kind: agent.Call, Call: c})
}

// maxAnswer bounds the text, the thinking and the arguments of one answer. It is far more than any model writes in a turn.
// Surfaces keep an answer that isn't streamed, and the Responses service keeps its events, so an upstream that doesn't end
// would take all memory there is.
const maxAnswer = 16 << 20

// wrote counts n bytes of the answer. The error is final: the same request would get an answer
// of the same kind.
func (a *answer) wrote(n int) error {
	if a.written += n; a.written > maxAnswer {
		return &agent.Error{Code: agent.Upstream, Final: true, Message: "The model's answer is larger than 16 MB. Ask for less at once."}
	}
	return nil
}

// callIDs are the ids of the calls that the client has been given. They are in the order in
// which the client got them, which is the order of the results upstream.
func (a *answer) callIDs() []string {
	var ids []string
	for _, c := range a.calls {
		ids = append(ids, c.ID)
	}
	return ids
}

// setUsage records what upstream reports about the cost of the run.
func (a *answer) setUsage(u agent.Usage) { a.usage = &u }

// end sends the usage and the end of the turn, in this order, and flushes. The price is set here, because only the gateway knows the
// model that the client has asked for.
func (a *answer) end(usage agent.Usage, done agent.Done) error {
	usage.Price = catalog.Price(a.req.Model)
	if err := a.event(agent.Event{Kind: agent.UsageKind, Usage: &usage}); err != nil {
		return err
	}
	if err := a.event(agent.Event{Kind: agent.DoneKind, Done: &done}); err != nil {
		return err
	}
	return a.flush()
}

// over notes that the answer is whole. Until then, the beginning of the text may be held back
// by the digester, because it could still turn out to be thinking. No piece may come after it.
func (a *answer) over() { a.seen.settle() }

// usageOrEstimate is what upstream has reported, or else our own count.
//
// An estimate is marked as one, and surfaces pass the mark on. It knows nothing of a cache, so
// all of the prompt counts as read.
func (a *answer) usageOrEstimate() agent.Usage {
	if a.usage != nil {
		return *a.usage
	}
	return agent.Usage{Input: agent.EstimatePrompt(a.req), Output: agent.EstimateTokens(a.written), Estimated: true}
}

// event passes an event to the sink. From here on the turn can't start again with another run, unless it was thinking.
// out is used again for each event: the sink must have read it when it returns.
func (a *answer) event(e agent.Event) error {
	a.emitted, a.answered = true, a.answered || e.Kind != agent.Reasoning
	a.out = e
	return clientGone(a.sink.Event(&a.out))
}

// flush sends what the sink has buffered.
func (a *answer) flush() error { return clientGone(a.sink.Flush()) }

// clientGone turns an error of the sink into Canceled: the client has left. The sink's own
// error is the cause, for the log; nobody is left to be told a sentence.
func clientGone(err error) error {
	if err == nil {
		return nil
	}
	return &agent.Error{Code: agent.Canceled, Err: err}
}
