package messages

import (
	"cmp"
	"crypto/sha256"
	"hash"
	"net/http"
	"strconv"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
)

// An Encoder writes the events of one turn to the client: an agent.Sink. It makes content blocks
// of them, one after the other, and leaves it to an output how a block is written. So a stream and a whole answer hold
// the same blocks. One goroutine may use it.
//
//	events                       blocks
//	Reasoning Reasoning          thinking, if the client wants to see it
//	Text Text                    text
//	Call                         tool_use
//	Text                         text
//	Usage Done                   the end of the message
//
// Who calls what: the turn calls Accept, Event and Flush; the handler calls Fail when the turn
// has failed, and Close in any case.
//
//	state      left by
//	new        Accept; Fail leaves the error to the caller
//	accepted   Event(Done), or Fail with an error in the answer's own form
//	over       Close
type Encoder struct {
	w   http.ResponseWriter
	req *Request
	opt Options
	out output

	open    blockKind
	index   int       // of the open block, or of the next one
	thought hash.Hash // of the open block of thinking
	// usage is what the turn has reported, for the end of the message.
	usage    agent.Usage
	accepted bool
	over     bool // the answer's end was written
}

// Options are what an Encoder needs besides its request. The zero value is right for everything but the real routes.
type Options struct {
	ID        string // of the message; "" mints one
	RequestID string // for an error in the stream; "" leaves it out
	// Sign makes the signature of a block of thinking out of the digest of its text. Clients send both back. Nil gives
	// an empty signature.
	Sign func(digest []byte) string
	SSE  sse.Config
}

// An output writes an answer in one of its two forms. Blocks come one at a time, and never two
// within each other. Its methods are called by one goroutine, in the order start, (begin,
// delta…, stop)…, end or fail.
type output interface {
	// start begins the answer.
	start(message head) error
	// begin opens a block. call is nil but for a block that is a call.
	begin(index int, kind blockKind, call *agent.ToolCall) error
	// delta adds to the open block: text, thinking, or the arguments of a call. It keeps nothing of text.
	delta(text []byte) error
	// stop closes the open block. signature is for thinking alone.
	stop(signature string) error
	// end ends the answer.
	end(done *agent.Done, usage *agent.Usage) error
	// flush sends what is buffered.
	flush() error
	// rewind forgets all blocks, and reports whether it could.
	rewind() bool
	// fail ends the answer with an error instead. It reports false when that is left to the caller, who can still
	// answer with a status.
	fail(e *agent.Error) (told bool)
	// close lets go of the ResponseWriter. It may be called at any time, and more than once.
	close()
}

// blockKind is the kind of a content block; noBlock means that none is open.
type blockKind uint8

const (
	// noBlock says that no block is open.
	noBlock blockKind = iota
	textBlock
	thinkingBlock
	callBlock
)

// NewEncoder makes the encoder that req asks for. The caller closes it.
func NewEncoder(w http.ResponseWriter, req *Request, opt Options) *Encoder {
	e := &Encoder{w: w, req: req, opt: opt, out: &whole{w: w}}
	if req.Stream {
		e.out = &stream{w: w, opt: opt}
	}
	return e
}

// Accept implements agent.Sink. It sets the response headers and begins the answer. It is
// called once, when upstream has accepted the run. The model's name is the catalogue's, not the
// one that the client used: this API shows what an alias stands for.
func (e *Encoder) Accept(a agent.Accepted) error {
	api.SetAccepted(e.w.Header(), a)
	e.accepted = true
	return e.out.start(head{id: cmp.Or(e.opt.ID, agent.NewID("msg_", 24)), model: a.Model.Ran()})
}

// Event implements agent.Sink. It writes one event and keeps nothing of it. The last two of a turn are UsageKind and DoneKind.
func (e *Encoder) Event(ev *agent.Event) error {
	switch ev.Kind {
	case agent.Text, agent.Refusal:
		return e.write(textBlock, ev.Text)
	case agent.Reasoning:
		if e.req.showThinking {
			return e.write(thinkingBlock, ev.Text)
		}
	case agent.Call:
		return e.call(ev.Call)
	// It is told with the end of the message, which comes next.
	case agent.UsageKind:
		e.usage = *ev.Usage
	case agent.DoneKind:
		if err := e.closeBlock(); err != nil {
			return err
		}
		api.SetFinished(e.w.Header(), openai.RoundCost(e.usage.CostUSD()), ev.Done, e.req.Stream)
		e.over = true
		return e.out.end(ev.Done, &e.usage)
	}
	return nil
}

// Rewind implements agent.Rewinder: a whole answer is written at its end, and of thinking that is not shown a stream has no block.
func (e *Encoder) Rewind() bool {
	if e.over || (e.open != noBlock || e.index > 0) && !e.out.rewind() {
		return false
	}
	e.open, e.index, e.usage = noBlock, 0, agent.Usage{}
	return true
}

// Flush implements agent.Sink. It sends what was written so far.
func (e *Encoder) Flush() error { return e.out.flush() }

// Fail ends an answer whose turn failed, instead of further events. It reports whether the client has been told; if not,
// nothing has been written and the caller answers with [WriteError].
func (e *Encoder) Fail(failure *agent.Error) (told bool) {
	if !e.accepted {
		return false
	}
	if e.over {
		// A client that can't be reached can't be told, and nothing else can be done about it.
		e.out.flush()
		return true
	}
	return e.out.fail(failure)
}

// Close releases the ResponseWriter. The handler must call it before it returns, however the turn ended.
func (e *Encoder) Close() { e.out.close() }

// write adds to the open block, after opening one of this kind if need be.
func (e *Encoder) write(kind blockKind, text []byte) error {
	if e.open != kind {
		if err := e.openBlock(kind, nil); err != nil {
			return err
		}
	}
	if kind == thinkingBlock {
		e.thought.Write(text)
	}
	return e.out.delta(text)
}

// call writes a call as a block of its own, whole. A call comes in one piece, so its block is
// opened, filled with one delta and closed at once.
func (e *Encoder) call(c *agent.ToolCall) error {
	if err := e.openBlock(callBlock, c); err != nil {
		return err
	}
	if err := e.out.delta(c.Arguments); err != nil {
		return err
	}
	return e.closeBlock()
}

// openBlock closes the open block, if there is one, and opens another.
func (e *Encoder) openBlock(kind blockKind, call *agent.ToolCall) error {
	if err := e.closeBlock(); err != nil {
		return err
	}
	e.open = kind
	if kind == thinkingBlock {
		e.thought = sha256.New()
	}
	return e.out.begin(e.index, kind, call)
}

// closeBlock closes the open block, if there is one. Thinking is signed then.
func (e *Encoder) closeBlock() error {
	if e.open == noBlock {
		return nil
	}
	signature := ""
	if e.open == thinkingBlock && e.opt.Sign != nil {
		signature = e.opt.Sign(e.thought.Sum(nil))
	}
	e.open = noBlock
	e.index++
	return e.out.stop(signature)
}

// A head is what an answer begins with.
//
// It is made by Accept and written at once or at the end.
type head struct{ id, model string }

// append appends the message's opening brace and its first members, with a comma at the end.
func (h *head) append(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = openai.AppendString(b, h.id)
	b = append(b, `,"type":"message","role":"assistant","model":`...)
	b = openai.AppendString(b, h.model)
	return append(b, ',')
}

// appendStop appends the members that say why the answer ended.
func appendStop(b []byte, done *agent.Done) []byte {
	b = append(b, `"stop_reason":`...)
	b = openai.AppendString(b, stopReason(done))
	b = append(b, `,"stop_sequence":`...)
	if done.StopText == "" {
		return append(b, "null"...)
	}
	return openai.AppendString(b, done.StopText)
}

// stopReason is Anthropic's name of the reason. A stop text that was met has one of its own.
func stopReason(done *agent.Done) string {
	switch {
	case done.Reason == agent.ToolCalls:
		return "tool_use"
	case done.Reason == agent.Length:
		return "max_tokens"
	case done.Reason == agent.Declined:
		return "refusal"
	case done.StopText != "":
		return "stop_sequence"
	}
	return "end_turn"
}

// appendUsage appends a usage object. Here, unlike in OpenAI's, input_tokens are those alone that were read without the
// cache.
//
// cost is the reference system's member; it is left out when the price is not known.
//
// output_tokens_details is left out when there was no thinking.
func appendUsage(b []byte, u *agent.Usage) []byte {
	b = append(b, `{"input_tokens":`...)
	b = strconv.AppendInt(b, u.Input, 10)
	b = append(b, `,"cache_creation_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheWrite, 10)
	b = append(b, `,"cache_read_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheRead, 10)
	b = append(b, `,"output_tokens":`...)
	b = strconv.AppendInt(b, u.Output, 10)
	if u.Reasoning > 0 {
		b = append(b, `,"output_tokens_details":{"thinking_tokens":`...)
		b = strconv.AppendInt(b, u.Reasoning, 10)
		b = append(b, '}')
	}
	b = openai.AppendCost(b, u)
	return append(b, '}')
}
