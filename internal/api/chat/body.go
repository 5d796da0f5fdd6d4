package chat

import (
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// A wholeAnswer is the Encoder of a request without "stream": true. It collects the answer, already
// escaped for JSON, and writes it, with its status, when the turn is done. Until then nothing is written, so a turn that fails
// gets the status of its error.
//
// One goroutine uses it. The gateway bounds what it collects (16 MiB before it is escaped).
//
// The fields in bytes are in the form in which they are written, so that the end of a long answer costs
// one copy. Each grows by append.
type wholeAnswer struct {
	// w is written to once, when the turn is done.
	w      http.ResponseWriter
	req    *Request
	header header
	model  agent.Model

	content   []byte      // inside of a JSON string
	reasoning []byte      // inside of a JSON string
	refusal   []byte      // inside of a JSON string
	calls     []byte      // members of a JSON array, or the function_call
	usage     agent.Usage // the last that came
	written   bool
}

// newBody makes a wholeAnswer that answers req on w.
func newBody(w http.ResponseWriter, req *Request, opt Options) *wholeAnswer {
	return &wholeAnswer{w: w, req: req, header: newHeader(opt)}
}

// Accept implements Encoder. The headers that it sets are sent with the answer.
func (b *wholeAnswer) Accept(a agent.Accepted) error {
	api.SetAccepted(b.w.Header(), a)
	b.model = a.Model
	return nil
}

// Event implements Encoder. The last event writes the answer.
func (b *wholeAnswer) Event(e *agent.Event) error {
	switch e.Kind {
	case agent.Text:
		b.content = openai.AppendEscaped(b.content, e.Text)
	case agent.Reasoning:
		b.reasoning = openai.AppendEscaped(b.reasoning, e.Text)
	case agent.Refusal:
		b.refusal = openai.AppendEscaped(b.refusal, e.Text)
	case agent.Call:
		b.call(e.Call)
	case agent.UsageKind:
		b.usage = *e.Usage
	case agent.DoneKind:
		api.SetFinished(b.w.Header(), openai.RoundCost(b.usage.CostUSD()), e.Done, false)
		return b.write(e.Done.Reason)
	}
	return nil
}

// Rewind implements agent.Rewinder.
func (b *wholeAnswer) Rewind() bool {
	if b.written {
		return false
	}
	b.content, b.reasoning, b.refusal, b.calls = b.content[:0], b.reasoning[:0], b.refusal[:0], b.calls[:0]
	b.usage = agent.Usage{}
	return true
}

// Flush implements Encoder: there is nothing to send before the end.
func (b *wholeAnswer) Flush() error { return nil }

// Fail implements Encoder. The client has been told only if the answer was written before the turn
// failed.
func (b *wholeAnswer) Fail(*agent.Error) (told bool) { return b.written }

// Close implements Encoder.
func (b *wholeAnswer) Close() {}

// call adds a call in the form that its tool has: tool_calls, with function or custom, or the
// deprecated function_call, of which there is only one. Of a second call of a deprecated
// function only the last would stay.
func (b *wholeAnswer) call(c *agent.ToolCall) {
	switch {
	case b.req.legacy:
		b.calls = appendFunction(b.calls[:0], c)
		return
	// calls has what was appended before, without the brackets of the array.
	case len(b.calls) > 0:
		b.calls = append(b.calls, ',')
	}
	// By hand and not by a JSON package: the arguments are escaped once, into the answer itself.
	b.calls = append(b.calls, `{"id":`...)
	b.calls = openai.AppendString(b.calls, c.ID)
	if b.req.custom[c.Name] {
		b.calls = append(b.calls, `,"type":"custom","custom":{"name":`...)
		b.calls = openai.AppendString(b.calls, c.Name)
		b.calls = append(b.calls, `,"input":`...)
		b.calls = openai.AppendString(b.calls, openai.CustomInput(c.Name, c.Arguments))
		b.calls = append(b.calls, '}', '}')
		return
	}
	b.calls = append(b.calls, `,"type":"function","function":`...)
	b.calls = appendFunction(b.calls, c)
	b.calls = append(b.calls, '}')
}

// appendFunction appends {"name":…,"arguments":…}. The arguments are JSON inside a JSON string.
func appendFunction(b []byte, c *agent.ToolCall) []byte {
	b = append(b, `{"name":`...)
	b = openai.AppendString(b, c.Name)
	b = append(b, `,"arguments":`...)
	b = openai.AppendString(b, c.Arguments)
	return append(b, '}')
}

// write writes the whole answer. The buffer is made large enough at once: the parts are long
// compared to the rest. It is called once, by the last event.
//
// The error is that of writing to the client, who has left then.
func (b *wholeAnswer) write(reason agent.Reason) error {
	doc := make([]byte, 0, 1024+len(b.content)+len(b.reasoning)+len(b.calls))
	doc = b.header.append(doc, "chat.completion", b.model)
	doc = append(doc, `"choices":[{"index":0,"message":`...)
	doc = b.appendMessage(doc)
	doc = append(doc, `,"logprobs":null,"finish_reason":`...)
	doc = openai.AppendString(doc, b.req.finishReason(reason))
	doc = append(doc, `}],"usage":`...)
	doc = openai.AppendUsage(doc, &b.usage)
	doc = openai.AppendEstimated(doc, &b.usage)
	doc = append(doc, '}')
	b.written = true
	return api.WriteJSON(b.w, doc)
}

// appendMessage appends the message. Its content is null only when there is no text, but calls or a refusal: some
// clients fail on null otherwise.
//
// reasoning_content is not OpenAI's: it is the member in which clients of other providers look
// for thinking.
func (b *wholeAnswer) appendMessage(doc []byte) []byte {
	doc = append(doc, `{"role":"assistant","content":`...)
	if len(b.content) == 0 && (len(b.calls) > 0 || len(b.refusal) > 0) {
		doc = append(doc, "null"...)
	} else {
		doc = appendQuoted(doc, b.content)
	}
	doc = append(doc, `,"refusal":`...)
	if len(b.refusal) > 0 {
		doc = appendQuoted(doc, b.refusal)
	} else {
		doc = append(doc, "null"...)
	}
	doc = append(doc, `,"annotations":[]`...)
	if len(b.reasoning) > 0 {
		doc = append(doc, `,"reasoning_content":`...)
		doc = appendQuoted(doc, b.reasoning)
	}
	switch {
	case len(b.calls) == 0:
	case b.req.legacy:
		doc = append(doc, `,"function_call":`...)
		doc = append(doc, b.calls...)
	default:
		doc = append(doc, `,"tool_calls":[`...)
		doc = append(doc, b.calls...)
		doc = append(doc, ']')
	}
	return append(doc, '}')
}

// appendQuoted appends text that is escaped already as a JSON string.
func appendQuoted(doc, escaped []byte) []byte {
	doc = append(doc, '"')
	doc = append(doc, escaped...)
	return append(doc, '"')
}
