package markup

import (
	"encoding/json"

	"composer-api/internal/agent"
)

// A CallFilter takes tool calls out of the answer's text.
//
//	<|tool_calls_begin|><|tool_call_begin|> BODY <|tool_call_end|> … <|tool_calls_end|>
//
// A call counts from its own begin to its own end; the outer pair may be missing, so that a model which stops right after
// its last call is still understood. A value may itself hold markup, as that of a call which writes a file about tool
// calls does: nothing that stands in the value of a call is ever a call. Because such a value may hold half a pair,
// where a call ends is only certain at the end of the answer, and what follows a call's begin is kept until then.
//
// A call that never ends, or whose body is no call at all, is text, markers and all. A result that the model has made up
// is nothing.
//
//	the filter is in   and reads            it
//	text               text                 gives it out
//	text               an outer begin       keeps it, until the next token says what it is
//	text               a begin              is in a block
//	a block            anything             keeps it, until End; beyond maxBlock it is off
//	off                anything             gives it out as text
//
// It is for one goroutine. Text, Call and Refuse are called in the order of the answer, by Write and End.
type CallFilter struct {
	// Text takes pieces of the answer, never empty and valid during the call only.
	Text func([]byte)
	// Call takes a call of one of Tools; arguments is a JSON object.
	Call func(name string, arguments json.RawMessage)
	// Refuse takes a call that can't be made: the model should hear why.
	Refuse func(Refusal)
	// Tools are what the client offered.
	Tools []agent.Tool

	// scan cuts the stream into text and markers.
	scan scanner
	// kept is what was read but is not decided: an outer begin, or everything since a call began. marks are its markers.
	kept  []byte
	marks []mark
	block bool // something has begun in kept that is decided at the end
	shown bool // an outer begin went out as text, and so must the next outer end
	off   bool // the block was too large, so that all is text up to the end
}

// A Refusal is a call that can't be made, for its tool does not exist or it can't be understood.
type Refusal struct {
	// Name is the tool as the model named it.
	Name string
	// Arguments is a JSON object, or what the model wrote in its place.
	Arguments json.RawMessage
	// Why is a sentence for the model.
	Why string
}

// maxBlock is the size, in bytes, beyond which what is kept is taken for text, and so is the
// rest of the answer. It bounds the memory of a filter, and the work at the end of an answer.
const maxBlock = 8 << 20

// Write takes the next piece of text, which is not kept. Only Text is called by it, before it
// returns: what is a call is decided by End.
func (f *CallFilter) Write(p []byte) {
	f.scan.shapes = blockShapes
	f.scan.write(p, f.take)
}

// Keeps reports whether some text is kept, because it may still be part of a call. A caller
// with other text for the same answer must wait its turn then.
func (f *CallFilter) Keeps() bool { return len(f.kept) > 0 || len(f.scan.held) > 0 }

// End gives out what is kept: the stream is over. White space that ends a stream after a call is not text. Nothing may be
// written afterwards.
func (f *CallFilter) End() {
	f.kept = append(f.kept, f.scan.flush()...)
	if f.block {
		f.decide()
	} else {
		f.giveUp()
	}
}

// take takes the next token.
//
// After it, kept is either empty, an outer begin alone, or a block.
func (f *CallFilter) take(t token) {
	if f.block {
		f.keep(t)
		if len(f.kept) > maxBlock {
			f.giveUp()
			f.off = true // what follows may stand in the value of a call
		}
		return
	}
	marker := t.marker
	if f.off {
		marker = noMarker
	}
	switch marker {
	case callsBegin:
		f.giveUp()
		f.keep(t)
	case callBegin, resultsBegin, resultBegin:
		f.keep(t)
		f.block = true
	default:
		f.giveUp()
		f.shown = f.shown && t.marker != callsEnd
		f.emit(t.space)
		f.emit(t.raw)
	}
}

// keep puts a token behind what is kept.
func (f *CallFilter) keep(t token) {
	from := len(f.kept)
	f.kept = append(append(f.kept, t.space...), t.raw...)
	if t.marker != noMarker {
		f.marks = append(f.marks, mark{t.marker, from, from + len(t.space), len(f.kept)})
	}
}

// giveUp gives out what is kept as the text that it was.
func (f *CallFilter) giveUp() {
	f.shown = f.shown || len(f.marks) > 0 && f.marks[0].marker == callsBegin
	f.emit(f.kept)
	f.reset()
}

// reset forgets what is kept, which was given out or decided.
func (f *CallFilter) reset() {
	f.kept, f.marks, f.block = f.kept[:0], f.marks[:0], false
}

// emit passes on text, if there is any.
func (f *CallFilter) emit(p []byte) {
	if len(p) > 0 {
		f.Text(p)
	}
}

// decide gives out what is kept, as calls and as text: no more will come. The kept text stays
// in place while the pieces are given out, because they point into it.
func (f *CallFilter) decide() {
	d := decider{reader: newReader(f.kept, f.marks, newToolbox(f.Tools)), shown: f.shown}
	for _, p := range d.run() {
		switch {
		case p.text != nil:
			f.emit(p.text)
		case p.refusal != nil:
			f.Refuse(*p.refusal)
		default:
			f.Call(p.call.tool.Name, p.call.arguments)
		}
	}
	f.reset()
}
