package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/schema"
)

// A format is the form that the answer's text must have: one JSON object, or JSON that fits a
// schema. It is made once for each turn and only read afterwards.
type format struct {
	schema *schema.Schema // nil when any object will do
}

// newFormat reads what the request asks for; nil is plain text. Errors are *agent.Error. Surfaces have checked the schema
// before, because they know the field's name.
func newFormat(f *agent.Format) (*format, error) {
	switch f.Kind {
	case agent.JSONObject:
		return &format{}, nil
	case agent.JSONSchema:
		s, err := schema.Compile(f.Schema, f.Strict)
		if err != nil {
			return nil, agent.Errorf(agent.InvalidValue, "The JSON Schema of the answer's format can't be used: %v.", err)
		}
		return &format{s}, nil
	}
	return nil, nil
}

// mustBeJSON reports whether the text of the answer must have a form. A turn that ends in tool calls has no answer yet.
func (t *Turn) mustBeJSON() bool { return t.format != nil }

// read takes the JSON value out of an answer: all of it, or what stands between fences or words. Of several values the
// longest that fits counts. An error that is schema.ErrTooMuch is for good; any other tells the model what is wrong.
//
// The error's words are for the model, in the next attempt. They may quote the answer, so they
// never go to the log or to the client.
func (f *format) read(answer string) (value string, err error) {
	values := jsonValues(answer)
	if len(values) == 0 {
		return "", errors.New("it is not JSON")
	}
	for _, v := range values {
		problem := f.check(v)
		if problem == nil || errors.Is(problem, schema.ErrTooMuch) {
			return v, problem
		}
		if err == nil {
			err = problem
		}
	}
	return "", err
}

// check reports what is wrong with a JSON value, in words for the model; nil when it fits.
func (f *format) check(value string) error {
	switch {
	case f.schema != nil:
		return f.schema.Check([]byte(value))
	case !strings.HasPrefix(value, "{"):
		return errors.New("it is not a JSON object")
	}
	return nil
}

// finishJSON ends a turn whose text must be JSON: with the value alone, or with another attempt, or with an error. Nothing
// of the text has been given to the client so far. A model that declines, twice, is believed: its words become a refusal,
// which clients know how to show, instead of JSON that isn't there.
//
//	the answer has                            first time      second time
//	a value that fits                         given           given
//	a value that is too costly to check       an error        an error
//	none that fits                            a repair        a refusal if it declines, else an error
func (r *Run) finishJSON(ctx context.Context, done *agent.Done) error {
	answer := string(r.held)
	value, problem := r.turn.format.read(answer)
	switch {
	case errors.Is(problem, schema.ErrTooMuch):
		return &agent.Error{Code: agent.InvalidJSONOutput, Final: true, Err: problem,
			Message: "The answer could not be checked against the JSON Schema: it would take too long. Use a schema with fewer alternatives and simpler patterns."}
	case problem == nil:
		return r.giveJSON(value, done)
	case !r.turn.repaired(agent.RepairJSON):
		return r.repair(ctx, agent.RepairJSON, done, fmt.Sprintf(
			"A program reads your answer, and can't use it: %s. Give the whole answer again, as the JSON value alone: no code fence, no words before or after it.", problem))
	case declines(answer):
		r.out.text(agent.Refusal, []byte(strings.TrimSpace(answer)))
		r.finish(agent.Done{Reason: agent.Declined, Conversation: done.Conversation})
		return nil
	}
	// What is wrong quotes the answer, and the message is logged.
	return &agent.Error{Code: agent.InvalidJSONOutput, Final: true,
		Message: "The model did not give the JSON that the format asks for, also after it was told what was wrong. Say in your message what each field means, or use a simpler schema."}
}

// giveJSON gives a value whole, or not at all: a stop text in it would leave a part that is no
// JSON. The value is given as the model wrote it, but without what stood around it.
func (r *Run) giveJSON(value string, done *agent.Done) error {
	for _, stop := range r.turn.req.Stop {
		if strings.Contains(value, stop) {
			return &agent.Error{Code: agent.InvalidJSONOutput, Final: true,
				Message: "A stop text stands within the JSON of the answer, which can't be cut there. Leave 'stop' out, or choose another text."}
		}
	}
	r.held = nil
	r.out.text(agent.Text, []byte(value))
	r.finish(*done)
	return nil
}
