package completions

import (
	"net/http"
	"strconv"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// A wholeAnswer collects the choices of a request without "stream": true, and writes them when the last turn is done.
//
// Nothing is written before end, so a turn that fails gives the whole request its status. It may
// hold 20 answers of 16 MiB each at most: one for each prompt.
type wholeAnswer struct {
	// w is written to once, by end.
	w   http.ResponseWriter
	req *request
	opt options

	model   agent.Model
	choices []byte      // members of a JSON array
	usage   agent.Usage // of all turns so far
	last    agent.Done  // of the turn that ended last
	written bool
}

// choice implements answer.
func (b *wholeAnswer) choice(index int) agent.Sink {
	c := &bodyChoice{wholeAnswer: b, index: index}
	c.begin()
	return c
}

// A bodyChoice is the sink of one choice. It adds itself to the answer when its turn is done.
//
// Text is escaped as it comes, so the end of a long answer costs one copy.
type bodyChoice struct {
	*wholeAnswer
	// index is that of the prompt, in the request's order.
	index int
	text  []byte // inside of a JSON string
}

// begin makes the text what it is before the model has said anything: empty, or the prompt if it is to be repeated.
func (c *bodyChoice) begin() {
	c.text = nil
	if c.req.Echo {
		c.text = openai.AppendEscaped(nil, c.req.Prompts[c.index])
	}
}

// Accept sets headers, which say how the first turn is carried out. They go out with the answer.
func (c *bodyChoice) Accept(a agent.Accepted) error {
	if c.index == 0 {
		api.SetAccepted(c.w.Header(), a)
		c.model = a.Model
	}
	return nil
}

// Event collects one event. Thinking has no place in this form, and no tools are offered.
func (c *bodyChoice) Event(e *agent.Event) error {
	switch e.Kind {
	case agent.Text:
		c.text = openai.AppendEscaped(c.text, e.Text)
	case agent.UsageKind:
		addUsage(&c.usage, e.Usage)
	// A turn that ends in an error never comes here, so its choice is in no answer.
	case agent.DoneKind:
		c.last = *e.Done
		c.done(e.Done.Reason)
	}
	return nil
}

// Rewind implements agent.Rewinder. Only this choice's text is its turn's.
func (c *bodyChoice) Rewind() bool {
	c.begin()
	return true
}

// Flush does nothing: there is nothing to send before the end.
func (c *bodyChoice) Flush() error { return nil }

// done adds the choice, which is complete, to the answer.
func (c *bodyChoice) done(reason agent.Reason) {
	b := c.choices
	if len(b) > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"text":"`...)
	b = append(b, c.text...)
	b = append(b, `","index":`...)
	b = strconv.AppendInt(b, int64(c.index), 10)
	b = append(b, `,"logprobs":null,"finish_reason":"`...)
	b = append(b, finishReason(reason)...)
	c.choices = append(b, '"', '}')
}

// end writes the answer.
func (b *wholeAnswer) end() error {
	doc := make([]byte, 0, 1024+len(b.choices))
	doc = appendHead(doc, &b.opt, b.model)
	doc = append(doc, `"choices":[`...)
	doc = append(doc, b.choices...)
	doc = append(doc, `],"usage":`...)
	doc = openai.AppendUsage(doc, &b.usage)
	doc = openai.AppendEstimated(doc, &b.usage)
	b.written = true
	api.SetFinished(b.w.Header(), openai.RoundCost(b.usage.CostUSD()), &b.last, false)
	return api.WriteJSON(b.w, append(doc, '}'))
}

// fail reports whether the answer was written before.
func (b *wholeAnswer) fail(*agent.Error) (told bool) { return b.written }

// close does nothing.
func (b *wholeAnswer) close() {}
