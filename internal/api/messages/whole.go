package messages

import (
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// A whole is the output of a request without "stream": true. It collects the answer and writes it, with its status, at
// the end.
//
// The answer is kept as the bytes that it will be, so that a piece of text is escaped once. The
// gateway bounds it (16 MiB before it is escaped).
//
// One goroutine uses it.
type whole struct {
	// w is written to once, by end.
	w    http.ResponseWriter
	head head

	content []byte // elements of a JSON array; the last one may be unfinished
	// kind is that of the unfinished element.
	kind blockKind
}

// start implements output. Nothing is written before the end, so a turn that fails gets a status of its own.
func (a *whole) start(message head) error {
	a.head = message
	return nil
}

// begin implements output. It writes the block up to its text, or up to the input of a call.
func (a *whole) begin(index int, kind blockKind, call *agent.ToolCall) error {
	if index > 0 {
		a.content = append(a.content, ',')
	}
	a.kind = kind
	switch kind {
	case textBlock:
		a.content = append(a.content, `{"type":"text","text":"`...)
	case thinkingBlock:
		a.content = append(a.content, `{"type":"thinking","thinking":"`...)
	case callBlock:
		a.content = append(a.content, `{"type":"tool_use","id":`...)
		a.content = openai.AppendString(a.content, call.ID)
		a.content = append(a.content, `,"name":`...)
		a.content = openai.AppendString(a.content, call.Name)
		a.content = append(a.content, `,"input":`...)
	}
	return nil
}

// delta implements output.
func (a *whole) delta(text []byte) error {
	if a.kind == callBlock {
		a.content = append(a.content, text...) // JSON already
		return nil
	}
	a.content = openai.AppendEscaped(a.content, text)
	return nil
}

// stop implements output.
func (a *whole) stop(signature string) error {
	switch a.kind {
	case textBlock:
		a.content = append(a.content, '"')
	case thinkingBlock:
		a.content = append(a.content, `","signature":`...)
		a.content = openai.AppendString(a.content, signature)
	}
	a.content = append(a.content, '}')
	return nil
}

// end implements output. It writes the answer.
func (a *whole) end(done *agent.Done, usage *agent.Usage) error {
	doc := make([]byte, 0, 512+len(a.content))
	doc = a.head.append(doc)
	doc = append(doc, `"content":[`...)
	doc = append(doc, a.content...)
	doc = append(doc, `],`...)
	doc = appendStop(doc, done)
	doc = append(doc, `,"usage":`...)
	doc = openai.AppendEstimated(appendUsage(doc, usage), usage)
	return api.WriteJSON(a.w, append(doc, '}'))
}

// rewind implements output.
func (a *whole) rewind() bool {
	a.content = a.content[:0]
	return true
}

// flush implements output: there is nothing to send before the end.
func (a *whole) flush() error { return nil }

// fail implements output. It leaves the error to the caller: nothing has been written.
func (a *whole) fail(*agent.Error) (told bool) { return false }

// close implements output.
func (a *whole) close() {}
