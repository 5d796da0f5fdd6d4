package completions

import (
	"net/http"
	"strconv"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
)

// A stream is the answer to "stream": true. Its chunks, all of which have the same head:
//
//	data: {…,"choices":[{"text":"Once","index":0,"logprobs":null,"finish_reason":null}]}
//	data: {…,"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}]}
//	data: {…,"choices":[],"usage":{…}}                  if asked for
//	data: [DONE]
//
// The bytes around a piece of text are the same for a whole choice, so a piece costs no allocation.
//
// One goroutine uses it: the turns come one after the other. Keep-alive comments are sent by the
// SSE writer between two events, and between two turns.
type stream struct {
	// w is the handler's; nothing else writes to it.
	w   http.ResponseWriter
	req *request
	opt options

	out   *sse.Writer // nil until the first turn is accepted
	head  []byte      // a chunk up to its choices
	usage agent.Usage // of all turns so far
	last  agent.Done  // of the turn that ended last
	over  bool        // the stream's end was written
}

// choice implements answer.
func (s *stream) choice(index int) agent.Sink {
	return &streamChoice{
		stream: s, prompt: s.req.Prompts[index],
		tail: `","index":` + strconv.Itoa(index) + `,"logprobs":null,"finish_reason":`,
	}
}

// A streamChoice is the sink of one choice.
type streamChoice struct {
	*stream
	// prompt is what the choice answers. It is repeated before the text if the request says echo.
	prompt string
	tail   string // a chunk from after its text to its finish reason
}

// Accept sends the response headers with the first turn, and the prompt if it is to be
// repeated. Only the first turn's headers are sent: those of the others would come too late.
//
// The text of the prompt is written before the model begins, so an editor that asked for echo shows
// it at once.
func (c *streamChoice) Accept(a agent.Accepted) error {
	if c.out == nil {
		api.SetAccepted(c.w.Header(), a)
		c.out = sse.NewWriter(c.w, c.opt.sse)
		c.head = appendHead([]byte("data: "), &c.opt, a.Model)
	}
	if c.req.Echo && c.prompt != "" {
		return c.chunk([]byte(c.prompt), "null")
	}
	return nil
}

// Event writes one event. Thinking has no place in this form, and no tools are offered.
func (c *streamChoice) Event(e *agent.Event) error {
	switch e.Kind {
	case agent.Text:
		return c.chunk(e.Text, "null")
	case agent.UsageKind:
		addUsage(&c.usage, e.Usage)
	case agent.DoneKind:
		c.last = *e.Done
		return c.chunk(nil, `"`+finishReason(e.Done.Reason)+`"`)
	}
	return nil
}

// Flush sends what is buffered.
func (c *streamChoice) Flush() error { return c.out.Flush() }

// chunk writes a piece of text. finish is JSON.
//
// The buffer is the writer's own: append and SetBuffer write into it without a copy.
func (c *streamChoice) chunk(text []byte, finish string) error {
	b := append(c.out.Buffer(), c.head...)
	b = append(b, `"choices":[{"text":"`...)
	b = openai.AppendEscaped(b, text)
	b = append(b, c.tail...)
	b = append(b, finish...)
	b = append(b, `}]`...)
	if c.req.IncludeUsage {
		b = append(b, `,"usage":null`...)
	}
	return c.out.SetBuffer(append(b, "}\n\n"...))
}

// end writes the usage, if asked for, and the marker. out is there: end is called only when
// every turn was accepted.
//
// SetFinished writes trailers here, because the headers have gone out long ago.
func (s *stream) end() error {
	s.over = true
	api.SetFinished(s.w.Header(), openai.RoundCost(s.usage.CostUSD()), &s.last, true)
	var usage *agent.Usage
	if s.req.IncludeUsage {
		usage = &s.usage
	}
	if err := s.out.SetBuffer(openai.AppendStreamEnd(s.out.Buffer(), s.head, usage)); err != nil {
		return err
	}
	return s.out.Flush()
}

// fail ends a stream that has begun with an error and without the marker, so that nobody takes a part for the whole.
func (s *stream) fail(e *agent.Error) (told bool) {
	// No turn was accepted: httpd answers with a status and JSON.
	if s.out == nil {
		return false
	}
	if !s.over {
		s.over = true
		s.out.SetBuffer(openai.AppendErrorEvent(s.out.Buffer(), e))
	}
	// A client that can't be reached can't be told, and nothing else can be done about it.
	s.out.Flush()
	return true
}

// close ends the keep-alives.
func (s *stream) close() {
	if s.out != nil {
		s.out.Close()
	}
}
