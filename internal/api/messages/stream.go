package messages

import (
	"net/http"
	"strconv"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
)

// A stream is the output of "stream": true. Each event has its type twice, after "event:" and in its data, because some
// clients look at the one and some at the other. The bytes before a piece of text are the
// same for a whole block, so they are made once, in before, and a piece costs no allocation.
//
//	event: message_start        data: {"type":"message_start","message":{"id":"msg_…",…,"content":[],…}}
//	event: ping
//	event: content_block_start  data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
//	event: content_block_delta  data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}
//	event: content_block_stop   data: {"type":"content_block_stop","index":0}
//	event: message_delta        data: {"type":"message_delta","delta":{"stop_reason":"end_turn",…},"usage":{…}}
//	event: message_stop
//
// One goroutine uses it, but for close. The SSE writer sends the keep-alives from a timer of its own.
type stream struct {
	w   http.ResponseWriter
	opt Options
	out *sse.Writer // nil until start

	// kind and index are those of the open block.
	kind   blockKind
	index  int
	before []byte // a delta of the open block up to its text
}

// ping says that the answer is still being made. It is an event of Anthropic's API, and its clients count on one instead
// of a comment.
const ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n"

// start begins with the response headers and the event that begins the message. What the answer costs is known at its end
// only: zeros here are replaced by the numbers of message_delta in every client, while an estimate would stay in those
// that keep the larger number of the two.
func (s *stream) start(message head) error {
	cfg := s.opt.SSE
	cfg.KeepAliveEvent = ping
	s.out = sse.NewWriter(s.w, cfg)
	b := append(s.out.Buffer(), "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...)
	b = message.append(b)
	b = append(b, `"content":[],"stop_reason":null,"stop_sequence":null,"usage":`...)
	b = appendUsage(b, &agent.Usage{})
	return s.out.SetBuffer(append(b, "}}\n\n"+ping...))
}

// blockStarts are the blocks as they begin, without what is still to come, and deltaTypes the members of their deltas
// up to the text.
var (
	blockStarts = [...]string{textBlock: `{"type":"text","text":""}`, thinkingBlock: `{"type":"thinking","thinking":"","signature":""}`}
	deltaTypes  = [...]string{
		textBlock:     `{"type":"text_delta","text":"`,
		thinkingBlock: `{"type":"thinking_delta","thinking":"`,
		callBlock:     `{"type":"input_json_delta","partial_json":"`,
	}
)

// begin implements output. It also prepares what all deltas of the block have in common.
func (s *stream) begin(index int, kind blockKind, call *agent.ToolCall) error {
	s.kind, s.index = kind, index
	b := s.about(s.out.Buffer(), "content_block_start")
	b = append(b, `"content_block":`...)
	if kind == callBlock {
		b = append(b, `{"type":"tool_use","id":`...)
		b = openai.AppendString(b, call.ID)
		b = append(b, `,"name":`...)
		b = openai.AppendString(b, call.Name)
		b = append(b, `,"input":{}}`...)
	} else {
		b = append(b, blockStarts[kind]...)
	}
	s.before = s.about(s.before[:0], "content_block_delta")
	s.before = append(s.before, `"delta":`...)
	s.before = append(s.before, deltaTypes[kind]...)
	return s.out.SetBuffer(append(b, "}\n\n"...))
}

// about appends an event about the open block, up to the member that differs.
func (s *stream) about(b []byte, name string) []byte {
	b = append(b, "event: "...)
	b = append(b, name...)
	b = append(b, "\ndata: {\"type\":\""...)
	b = append(b, name...)
	b = append(b, `","index":`...)
	b = strconv.AppendInt(b, int64(s.index), 10)
	return append(b, ',')
}

// delta implements output. It is the hot path: nothing is allocated.
func (s *stream) delta(text []byte) error {
	b := append(s.out.Buffer(), s.before...)
	b = openai.AppendEscaped(b, text)
	return s.out.SetBuffer(append(b, "\"}}\n\n"...))
}

// stop implements output. Thinking has its signature in a delta of its own, before its end.
func (s *stream) stop(signature string) error {
	b := s.out.Buffer()
	if s.kind == thinkingBlock {
		b = s.about(b, "content_block_delta")
		b = append(b, `"delta":{"type":"signature_delta","signature":`...)
		b = openai.AppendString(b, signature)
		b = append(b, "}}\n\n"...)
	}
	b = s.about(b, "content_block_stop")
	b[len(b)-1] = '}' // instead of the comma
	return s.out.SetBuffer(append(b, "\n\n"...))
}

// end implements output. The usage of message_delta is the whole message's.
func (s *stream) end(done *agent.Done, usage *agent.Usage) error {
	b := append(s.out.Buffer(), "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	b = appendStop(b, done)
	b = append(b, `},"usage":`...)
	b = openai.AppendEstimated(appendUsage(b, usage), usage)
	b = append(b, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
	return s.out.SetBuffer(b)
}

// rewind implements output: the client has got what there was.
func (s *stream) rewind() bool { return false }

// flush implements output.
func (s *stream) flush() error { return s.out.Flush() }

// fail implements output. It ends a stream that has begun with an error: no message_stop, so that no client takes a part for the
// whole.
func (s *stream) fail(e *agent.Error) (told bool) {
	b := append(s.out.Buffer(), "event: error\ndata: "...)
	b = appendError(b, e, s.opt.RequestID)
	s.out.SetBuffer(append(b, "\n\n"...))
	// A client that can't be reached can't be told, and nothing else can be done about it.
	s.out.Flush()
	return true
}

// close implements output. It ends the keep-alives.
func (s *stream) close() {
	if s.out != nil {
		s.out.Close()
	}
}
