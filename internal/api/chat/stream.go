package chat

import (
	"net/http"
	"strconv"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
)

// A Stream is the Encoder of "stream": true. Its chunks:
//
//	data: {…,"choices":[{"index":0,"delta":{"role":"assistant","content":""},…}]}
//	data: {…,"choices":[{"index":0,"delta":{"content":"Hel"},…}]}
//	data: {…,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}
//	data: {…,"choices":[],"usage":{…}}                                      if asked for
//	data: [DONE]
//
// The bytes around a piece of text are the same for a whole stream, so a piece costs no allocation.
//
// One goroutine uses it. Between two events the SSE writer sends comments, so that nobody takes
// the connection for dead.
//
// Buffer and SetBuffer are the writer's own buffer: an event is appended to it in place, and Flush
// sends it.
type Stream struct {
	// w is the handler's; nothing else writes to it.
	w      http.ResponseWriter
	req    *Request
	opt    Options
	header header

	out   *sse.Writer // nil until Accept
	begin []byte      // a chunk up to its choices
	end   string      // a chunk from after its delta, of all chunks but the last ones
	// usage is what the turn has reported; it is sent in the last chunk.
	usage agent.Usage
	// calls is how many were begun; it is the next call's index.
	calls int
	over  bool // the stream's end was written
}

// NewStream makes a Stream that answers req on w. The caller closes it.
func NewStream(w http.ResponseWriter, req *Request, opt Options) *Stream {
	return &Stream{w: w, req: req, opt: opt, header: newHeader(opt)}
}

// Accept implements Encoder. It begins with the response headers and the chunk with the role, which shows the client
// that the model is at work. From here on the status is 200, whatever happens.
func (s *Stream) Accept(a agent.Accepted) error {
	api.SetAccepted(s.w.Header(), a)
	s.out = sse.NewWriter(s.w, s.opt.SSE)
	s.begin = s.header.append([]byte("data: "), "chat.completion.chunk", a.Model)
	s.end = `,"logprobs":null,"finish_reason":null}]` + s.usageNull() + "}\n\n"
	return s.chunk(`{"role":"assistant","content":""}`)
}

// usageNull is the usage member of all chunks but the last, if usage was asked for.
func (s *Stream) usageNull() string {
	if s.req.IncludeUsage {
		return `,"usage":null`
	}
	return ""
}

// choice is the beginning of the one choice, up to its delta.
const choice = `"choices":[{"index":0,"delta":`

// Event implements Encoder. An event is one chunk or several.
func (s *Stream) Event(e *agent.Event) error {
	switch e.Kind {
	case agent.Text:
		return s.text(`{"content":"`, e.Text)
	case agent.Reasoning:
		return s.text(`{"reasoning_content":"`, e.Text)
	case agent.Refusal:
		return s.text(`{"refusal":"`, e.Text)
	case agent.Call:
		return s.call(e.Call)
	case agent.UsageKind:
		s.usage = *e.Usage
	case agent.DoneKind:
		api.SetFinished(s.w.Header(), openai.RoundCost(s.usage.CostUSD()), e.Done, true)
		return s.done(e.Done.Reason)
	}
	return nil
}

// text writes a piece of text, thinking or a refusal. It is called for every streamed word, so it allocates nothing.
func (s *Stream) text(member string, text []byte) error {
	b := append(s.out.Buffer(), s.begin...)
	b = append(b, choice...)
	b = append(b, member...)
	b = openai.AppendEscaped(b, text)
	b = append(b, `"}`...)
	b = append(b, s.end...)
	return s.out.SetBuffer(b)
}

// chunk writes a chunk with this delta.
func (s *Stream) chunk(delta string) error {
	b := append(s.out.Buffer(), s.begin...)
	b = append(b, choice...)
	b = append(b, delta...)
	b = append(b, s.end...)
	return s.out.SetBuffer(b)
}

// call writes a call as two chunks: the name, then the arguments. The second must not repeat id, type or name,
// because openai-node would append them to the first.
//
//	{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"read","arguments":""}}]}
//	{"tool_calls":[{"index":0,"function":{"arguments":"{…}"}}]}
func (s *Stream) call(c *agent.ToolCall) error {
	index := strconv.Itoa(s.calls)
	s.calls++
	first, second := toolDelta(index, c)
	switch {
	case s.req.legacy:
		first, second = functionDelta(c)
	case s.req.custom[c.Name]:
		first, second = customDelta(index, c)
	}
	if err := s.chunk(first); err != nil {
		return err
	}
	return s.chunk(second)
}

// toolDelta is the two deltas of a call in tool_calls.
func toolDelta(index string, c *agent.ToolCall) (first, second string) {
	return `{"tool_calls":[{"index":` + index + `,"id":` + quote(c.ID) + `,"type":"function","function":{"name":` + quote(c.Name) + `,"arguments":""}}]}`,
		`{"tool_calls":[{"index":` + index + `,"function":{"arguments":` + quote(c.Arguments) + `}}]}`
}

// customDelta is those of a call of a custom tool.
func customDelta(index string, c *agent.ToolCall) (first, second string) {
	return `{"tool_calls":[{"index":` + index + `,"id":` + quote(c.ID) + `,"type":"custom","custom":{"name":` + quote(c.Name) + `,"input":""}}]}`,
		`{"tool_calls":[{"index":` + index + `,"custom":{"input":` + quote(openai.CustomInput(c.Name, c.Arguments)) + `}}]}`
}

// functionDelta is those of the deprecated function_call.
func functionDelta(c *agent.ToolCall) (first, second string) {
	return `{"function_call":{"name":` + quote(c.Name) + `,"arguments":""}}`, `{"function_call":{"arguments":` + quote(c.Arguments) + `}}`
}

// quote is s as a JSON string.
func quote[S ~string | ~[]byte](s S) string { return string(openai.AppendString(nil, s)) }

// done writes the end: the finish reason, the usage if it was asked for, and the end marker.
//
// It is one write, so that a client which reads until [DONE] gets usage and marker together.
func (s *Stream) done(reason agent.Reason) error {
	s.over = true
	b := append(s.out.Buffer(), s.begin...)
	b = append(b, choice...)
	b = append(b, `{},"logprobs":null,"finish_reason":`...)
	b = openai.AppendString(b, s.req.finishReason(reason))
	b = append(b, `}]`...)
	b = append(b, s.usageNull()...)
	b = append(b, "}\n\n"...)
	var usage *agent.Usage
	if s.req.IncludeUsage {
		usage = &s.usage
	}
	return s.out.SetBuffer(openai.AppendStreamEnd(b, s.begin, usage))
}

// Flush implements Encoder.
func (s *Stream) Flush() error { return s.out.Flush() }

// Fail implements Encoder. It ends a stream with an error, without a finish reason and an end marker, so that no
// client takes a part for the whole.
func (s *Stream) Fail(e *agent.Error) (told bool) {
	if s.out == nil {
		return false
	}
	if !s.over {
		s.over = true
		s.out.SetBuffer(openai.AppendErrorEvent(s.out.Buffer(), e))
	}
	// When the client can't be reached there is nothing else to do.
	s.out.Flush()
	return true
}

// Close implements Encoder. It ends the keep-alives.
func (s *Stream) Close() {
	if s.out != nil {
		s.out.Close()
	}
}
