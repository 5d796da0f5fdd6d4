package chat

import (
	"encoding/json"
	"errors"
	"io"
	"mime"

	"composer-api/internal/agent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/sse"

	"google.golang.org/protobuf/encoding/protowire"
)

// The answer on the wire. Source of the frames and of the older events: the chat endpoint's description.

// An answer comes in one of two forms: Connect frames of protobuf messages, or, from older servers,
// server-sent events. Both become pieces: text after one byte that says which field it comes from.
const (
	inThinking byte = 'R'
	inAnswer   byte = 'T'
)

// A pieceReader reads an answer's pieces, which are valid during yield, until yield is false or
// the stream is over. It returns io.EOF at a good end. It is run by the exchange's goroutine,
// and blocks in yield while the run is not ready for more.
type pieceReader func(yield func(piece []byte) bool) error

// readerFor chooses the reader by the answer's content type.
func readerFor(x *replay.Exchange) pieceReader {
	if kind, _, _ := mime.ParseMediaType(x.Response.Header.Get("Content-Type")); kind == "text/event-stream" {
		return func(yield func([]byte) bool) error { return readEvents(x, yield) }
	}
	return func(yield func([]byte) bool) error { return readFrames(x, yield) }
}

// readFrames reads Connect frames. At the end of the stream it returns connectwire's error, and errFrame for a
// frame whose payload is not a message. A frame may have thinking and text; thinking comes first. On the wire:
//
//	{2: {1: "text", 25: {1: "thinking"}}}
func readFrames(src io.Reader, yield func([]byte) bool) error {
	frames := connectwire.NewReader(src, 0)
	var piece []byte
	for {
		payload, err := frames.Next()
		if err != nil {
			return err
		}
		thinking, text, err := decodeFrame(payload)
		if err != nil {
			return err
		}
		for _, p := range []struct {
			field byte
			text  []byte
		}{{inThinking, thinking}, {inAnswer, text}} {
			if len(p.text) == 0 {
				continue
			}
			// One buffer for all pieces; whoever takes one copies what is kept.
			piece = append(append(piece[:0], p.field), p.text...)
			if !yield(piece) {
				// The run has ended, and nobody looks at this error.
				return io.ErrUnexpectedEOF
			}
		}
	}
}

// errFrame is the error for data that can't be decoded. It is not retried, because the next answer would be
// no better.
var errFrame = errors.New("a frame that is no message")

// The fields of a response frame that are read:
//
//	{2: {1: text, 25: {1: thinking}}}
//
// Field 1 holds tool calls in a binary form that is not known; the same calls are in the text.
const (
	frameMessage    = 2
	messageText     = 1
	messageThinking = 25
	thinkingText    = 1
)

// decodeFrame finds the two texts in a frame. They share payload's memory. Missing fields are
// no error: a frame may have neither text.
func decodeFrame(payload []byte) (thinking, text []byte, err error) {
	// A frame without a message has neither text, and lastField of nothing is nothing.
	message, err := lastField(payload, frameMessage)
	if err != nil {
		return nil, nil, err
	}
	text, err = lastField(message, messageText)
	if err != nil {
		return nil, nil, err
	}
	inner, err := lastField(message, messageThinking)
	if err != nil {
		return nil, nil, err
	}
	thinking, err = lastField(inner, thinkingText)
	return thinking, text, err
}

// lastField is the value of a text or message field, the last one as protobuf has it; nil when
// there is none. The last one counts when a field is repeated. Source: protobuf's encoding rules.
func lastField(message []byte, want protowire.Number) (value []byte, err error) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, errFrame
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
			return nil, errFrame
		}
		if field == want && kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(message)
		}
		message = message[n:]
	}
	return value, nil
}

// readEvents reads the server-sent events of older servers:
//
//	interaction_update {"type":"text-delta","text":…} and {"type":"summary","summary":…}
//	assistant {"text":…}      a whole message
//	result {"result":…}       the whole answer
//	error {"message":…}
//	done
//
// What comes whole repeats the deltas before it, if there were any; then only what they left out becomes a
// piece. A stream that ends without a result or done was cut off.
func readEvents(src io.Reader, yield func([]byte) bool) error {
	r := eventReader{yield: yield}
	for event, err := range sse.Scan(src) {
		if err == nil {
			err = r.event(event)
		}
		if err != nil {
			return err
		}
	}
	if r.complete {
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// An eventReader turns events into pieces. It is for one goroutine.
type eventReader struct {
	// yield takes a piece, and reports false when nobody wants any more.
	yield func([]byte) bool
	// It is bounded by the answer's own bound in the gateway: an endless answer ends the turn.
	deltas   []byte // since the last whole message
	hasText  bool   // some of the answer has been read
	complete bool   // the result has come
}

// event handles one event. It returns io.EOF at the good end, and errFrame for data that is not the JSON that
// its type has. Types that we don't know are skipped. An error of upstream's becomes an *agent.Error with its words.
func (r *eventReader) event(e sse.Event) error {
	var data struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		Summary string `json:"summary"`
		Result  string `json:"result"`
		Message string `json:"message"`
	}
	switch e.Type {
	case "done":
		return io.EOF
	// Others may hold anything.
	case "interaction_update", "assistant", "result", "error":
		if json.Unmarshal([]byte(e.Data), &data) != nil {
			return errFrame
		}
	}
	switch e.Type {
	case "interaction_update":
		switch data.Type {
		case "text-delta":
			r.deltas = append(r.deltas, data.Text...)
			return r.emit(inAnswer, data.Text)
		case "summary":
			return r.emit(inThinking, data.Summary)
		}
	case "assistant":
		rest := remainder(data.Text, r.deltas)
		r.deltas = r.deltas[:0]
		return r.emit(inAnswer, rest)
	case "result":
		r.complete = true
		// An answer that came in deltas or whole messages was said already.
		if !r.hasText {
			return r.emit(inAnswer, data.Result+data.Text)
		}
	case "error":
		return &agent.Error{Code: agent.Upstream, Message: data.Message, FromUpstream: data.Message != ""}
	}
	return nil
}

// remainder is what whole has after the deltas; nothing when it doesn't begin with them, because what was
// yielded can't be taken back.
func remainder(whole string, deltas []byte) string {
	// "Hel" and "lo" were deltas, "Hello!" is the whole: "!" is left.
	if len(whole) <= len(deltas) || whole[:len(deltas)] != string(deltas) {
		return ""
	}
	return whole[len(deltas):]
}

// emit yields text as a piece, if there is any. io.ErrUnexpectedEOF means that yield was false.
func (r *eventReader) emit(field byte, text string) error {
	if text == "" {
		return nil
	}
	r.hasText = r.hasText || field == inAnswer
	if !r.yield(append([]byte{field}, text...)) {
		return io.ErrUnexpectedEOF
	}
	return nil
}
