package markup

import (
	"bytes"
	"encoding/json"

	"composer-api/internal/agent"
)

// A CallFilter takes tool calls out of the answer's text.
//
//	<|tool_calls_begin|><|tool_call_begin|> BODY <|tool_call_end|> … <|tool_calls_end|>
//
// A call counts from its own begin to its own end; the outer pair may be missing, so that a model which stops right after
// its last call is still understood. A call that never ends, whose body can't be read, or whose tool was not offered is
// text, markers and all.
type CallFilter struct {
	// Text takes pieces of the answer, never empty and valid during the call only.
	Text func([]byte)
	// Call takes a call of one of Tools; arguments is a JSON object.
	Call func(name string, arguments json.RawMessage)
	// Tools are what the client offered.
	Tools []agent.Tool

	scan scanner
	// pending is what was read but may still be text or part of a call: the outer begin, and the call so far.
	pending []byte
	body    int  // where in pending the call's body begins
	block   bool // between the outer begin and the outer end
	call    bool // between a call's begin and its end
	opening bool // pending begins with the outer begin
	shown   bool // the outer begin went out as text, and so must the outer end
	called  bool // the last thing that went out was a call
}

// maxBlock is the size beyond which a call that has not ended is taken for text.
const maxBlock = 8 << 20

// Write takes the next piece of text.
func (f *CallFilter) Write(p []byte) {
	f.scan.shapes = blockShapes
	f.scan.write(p, func(t token) {
		if f.call {
			f.inside(t)
		} else {
			f.outside(t)
		}
	})
}

// End gives out what is held back: the stream is over. White space that ends a stream after a call is not text.
func (f *CallFilter) End() {
	f.giveUp()
	if rest := f.scan.flush(); !f.called || len(bytes.TrimSpace(rest)) > 0 {
		f.emit(rest)
	}
}

// outside takes a token that is not in a call.
func (f *CallFilter) outside(t token) {
	switch t.marker {
	case callsBegin:
		f.giveUp()
		f.take(t)
		f.block, f.opening, f.shown = true, true, false
	case callBegin:
		f.take(t)
		f.body = len(f.pending)
		f.call = true
	case callsEnd:
		f.giveUp()
		if f.shown || !f.block && !f.called {
			f.sayToken(t)
		}
		f.block, f.shown = false, false
	default:
		f.giveUp()
		f.sayToken(t)
	}
}

// inside takes a token that comes after a call's begin.
func (f *CallFilter) inside(t token) {
	switch t.marker {
	case callEnd:
		f.endCall(t)
	case callsEnd:
		f.endCall(token{})
		f.outside(t)
	case callBegin, callsBegin: // the call before never ended
		f.giveUp()
		f.outside(t)
	default:
		f.take(t)
		if len(f.pending) > maxBlock {
			f.giveUp()
		}
	}
}

// endCall gives out the call that has come to its end at t.
func (f *CallFilter) endCall(t token) {
	name, arguments, ok := parseCall(f.pending[f.body:], f.Tools)
	if !ok {
		f.take(t)
		f.giveUp()
		return
	}
	f.pending = f.pending[:0]
	f.call, f.opening = false, false
	f.called = true
	f.Call(name, arguments)
}

// giveUp gives out what is pending as the text that it was.
func (f *CallFilter) giveUp() {
	f.call = false
	if len(f.pending) == 0 {
		return
	}
	f.shown = f.shown || f.opening
	f.opening = false
	f.emit(f.pending)
	f.pending = f.pending[:0]
}

func (f *CallFilter) take(t token) {
	f.pending = append(append(f.pending, t.space...), t.raw...)
}

func (f *CallFilter) sayToken(t token) {
	f.emit(t.space)
	f.emit(t.raw)
}

func (f *CallFilter) emit(p []byte) {
	if len(p) > 0 {
		f.called = false
		f.Text(p)
	}
}
