package control

import "composer-api/internal/agent"

// calls are the calls of a run on their way to the client. A client that takes one call at a time, or has no room for
// more, gets the next with the result of the one before; upstream gets the results when all are in.
//
// Where a call of the model can be, and what moves it on:
//
//	the call is              because                                      it leaves by
//	given                    the client can run it                        Resume, with the client's result
//	waiting                  the client has one to answer already         takeWaiting, in a later turn
//	refused                  its arguments do not fit, or can't be read   takeRefused, with our own result
//	answered (its result)    others still wait                            takeAnswered, all together
//
// One goroutine uses it, the one of Next and Resume.
type calls struct {
	given    []string           // ids of the calls that the client has got in this turn
	tools    []string           // and the tools that they are of
	waiting  []agent.ToolCall   // announced, but given later; see giveOrHold
	answered []agent.ToolResult // results that are in while others wait
	refused  []agent.ToolResult // our own results for calls that the client doesn't see
	// corrected says that the model was told of arguments that do not fit, and has made no strict call since.
	corrected bool
}

// begin prepares for another turn. What waits, and what was answered, stays: a later turn hands it on.
func (c *calls) begin() { c.given, c.tools = c.given[:0], c.tools[:0] }

// size is about how many bytes the calls and results keep. It is for the lot of parked runs,
// which is bounded in bytes.
func (c *calls) size() int {
	size := 0
	for i := range c.waiting {
		size += len(c.waiting[i].Arguments)
	}
	for _, results := range [][]agent.ToolResult{c.answered, c.refused} {
		for i := range results {
			size += agent.PartsSize(results[i].Parts) + agent.PartsSize(results[i].Said)
		}
	}
	return size
}

// resume takes the client's results. It reports whether a call still waits for its turn.
func (c *calls) resume(results []agent.ToolResult) (waits bool) {
	c.answered = append(c.answered, results...)
	return len(c.waiting) > 0
}

// withdraw answers the calls that wait and are for none of tools: the client can't run them any more.
//
// Their results are errors that name the tools there are, so that the model chooses another.
func (c *calls) withdraw(tools []agent.Tool) {
	if len(c.waiting) == 0 {
		return
	}
	index := agent.IndexTools(tools)
	waiting := c.waiting[:0]
	for _, call := range c.waiting {
		if index.Has(call.Name) {
			waiting = append(waiting, call)
			continue
		}
		c.answered = append(c.answered, agent.ToolResult{CallID: call.ID, IsError: true, Parts: []agent.Part{{Text: agent.NoSuchTool(tools)}}})
	}
	c.waiting = waiting
}

// takeWaiting returns the calls that wait, which are then the caller's.
func (c *calls) takeWaiting() []agent.ToolCall {
	waiting := c.waiting
	c.waiting = nil
	return waiting
}

// takeRefused returns our own results, for upstream. That there were any is remembered in
// corrected: the next call that does not fit passes as it is.
func (c *calls) takeRefused() []agent.ToolResult {
	refused := c.refused
	c.refused, c.corrected = nil, c.corrected || len(refused) > 0
	return refused
}

// takeAnswered returns the client's results, for upstream.
func (c *calls) takeAnswered() []agent.ToolResult {
	answered := c.answered
	c.answered = nil
	return answered
}

// call takes a call of the model. It is given to the client, waits for its turn, or is refused because its arguments don't
// fit (then it is in calls.refused). An error ends the run.
func (r *Run) call(c agent.ToolCall) error {
	if r.isCut || !r.fit(&c) {
		return nil
	}
	if err := r.guard(&c); err != nil {
		return err
	}
	r.giveOrHold(c)
	return nil
}

// giveOrHold gives a call to the client, or lets it wait: while the client, which takes one at a time, has another to
// answer, or when the token limit leaves no room for its arguments beside the calls that were given. When there are none,
// the turn is cut, and giveOrHold reports that. Text that waited for a call, or was held back as the possible beginning
// of a stop text, goes before it.
//
// Arguments are never given in part: half of a JSON object is of no use. What has no room now
// waits for the next turn, which has a limit of its own.
func (r *Run) giveOrHold(c agent.ToolCall) (cut bool) {
	given := len(r.calls.given) > 0
	if given && r.turn.req.SerialToolCalls {
		r.calls.waiting = append(r.calls.waiting, c)
		return false
	}
	fits := r.turn.leaves(len(c.Arguments))
	switch {
	case !fits && given:
		r.calls.waiting = append(r.calls.waiting, c)
		return false
	case !fits:
		r.cut(agent.Length)
		return true
	}
	r.release()
	r.calls.given = append(r.calls.given, c.ID)
	r.calls.tools = append(r.calls.tools, c.Name)
	r.out.push(agent.Event{Kind: agent.Call, Call: &c})
	return false
}
