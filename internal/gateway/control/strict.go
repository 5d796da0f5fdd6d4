package control

import (
	"context"
	"errors"
	"fmt"

	"composer-api/internal/agent"
	"composer-api/internal/schema"
)

// Calls of tools that the client has marked as strict: their arguments must fit the tool's schema.
// Upstream does not promise that, so it is checked here, and the model gets one chance to correct
// a call. Such a repair costs no turn of the client's: it does not see the call that was wrong.

// strictSchema is what the arguments of a call of the tool must fit; nil when anything goes: the tool isn't strict, or its
// schema can't be used. A schema is compiled when its tool is first called in the turn: requests have many tools, of which few
// are called.
//
// nil is kept, too, so that a schema that can't be used is compiled only once.
func (t *Turn) strictSchema(name string) *schema.Schema {
	if s, known := t.strict[name]; known {
		return s
	}
	var s *schema.Schema
	for i := range t.req.Tools {
		if tool := &t.req.Tools[i]; tool.Name == name && tool.Strict && tool.Parameters != nil {
			s, _ = schema.Compile(tool.Parameters, true) // nil with an error
		}
	}
	if t.strict == nil {
		t.strict = map[string]*schema.Schema{}
	}
	t.strict[name] = s
	return s
}

// fit makes the arguments of a call fit the tool's schema, where that takes no more than the conversion of a value whose
// meaning is plain. It reports false when the call is to be answered by us: the model is told what is wrong, and the
// client doesn't see the call. That happens once; if the next call of a strict tool doesn't fit either, it passes as it
// is.
//
// ErrTooMuch is not the model's fault, so the call passes unchecked.
func (r *Run) fit(c *agent.ToolCall) bool {
	s := r.turn.strictSchema(c.Name)
	if s == nil {
		return true
	}
	fitted, err := s.Fit(c.Arguments)
	switch {
	case err == nil:
		c.Arguments = fitted
	case !r.calls.corrected && !errors.Is(err, schema.ErrTooMuch):
		r.calls.refused = append(r.calls.refused, agent.ToolResult{CallID: c.ID, IsError: true, Parts: []agent.Part{{
			Text: fmt.Sprintf("The tool was not run, because the arguments do not fit its schema:\n%v\nCall it again with arguments that fit.", err),
		}}})
		return false
	}
	r.calls.corrected = false
	return true
}

// maxCorrections is how often in a turn the model is told of calls that the client doesn't see.
const maxCorrections = 2

// correct answers the calls that were refused, when the client has no call to answer in this turn: the same turn goes on. The
// client notices nothing but the time that it takes. Arguments that do not fit are refused once in a row. Calls that can't be
// made at all might be written for ever.
//
// The budget is checked here as in repair: each correction reads the prompt again.
func (r *Run) correct(ctx context.Context) error {
	if r.corrections++; r.corrections > maxCorrections {
		return errUnreadable
	}
	if err := r.turn.bill.check(r.usage.Plus(r.attempt())); err != nil {
		return err
	}
	r.endAttempt(agent.RepairArguments)
	return r.deliver(ctx, r.calls.takeRefused())
}
