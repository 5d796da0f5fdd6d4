package responses

import (
	"bytes"
	"cmp"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// The stream's events, from the encoder's steps to bytes. Everything is written with one blank
// line at its end, so that what is buffered is always a number of whole events.

// Out is where a stream is written: an *sse.Writer, or something that behaves like one. One goroutine uses it.
//
// It is made so that an event is written straight into the buffer that goes to the connection:
// no copy and, for deltas, no allocation.
type Out interface {
	// Buffer returns what is buffered, to be appended to and given to SetBuffer before any other call.
	Buffer() []byte
	// SetBuffer takes back what Buffer returned with exactly one event appended, from its first line to the blank one.
	SetBuffer([]byte) error
	// Flush sends what is buffered.
	Flush() error
}

// DoneLine ends every stream. It is not an event: it has no sequence number. The Open
// Responses specification requires it, while OpenAI's own streams of this API end without it.
const DoneLine = "data: [DONE]\n\n"

// A stream writes the events of a response. Sequence numbers count from 0 without a gap. The order:
//
//	response.created  [response.queued]  response.in_progress
//	for each item:
//	  response.output_item.added  [content_part.added]
//	  deltas
//	  …_text.done, or arguments.done  [content_part.done]  response.output_item.done
//	[error]  response.completed, .incomplete or .failed  data: [DONE]
//
// It implements watcher, the encoder's view of a stream. before and after belong to the open
// item and are made again for the next one.
type stream struct {
	out Out
	seq int64

	// The bytes before and after the text of each delta of the open item.
	before, after []byte
}

// eventHead is the members with which every event begins. On the wire:
//
//	event: response.output_text.delta
//	data: {"type":"response.output_text.delta","item_id":"msg_…","output_index":0,"content_index":0,"delta":"Hel","logprobs":[],"sequence_number":4}
type eventHead struct {
	Type string `json:"type"`
	Seq  int64  `json:"sequence_number"`
}

// itemHead is the members with which every event about a part of an item begins.
type itemHead struct {
	eventHead
	ItemID      string `json:"item_id"`
	OutputIndex int    `json:"output_index"`
}

// The events, by what they carry.
type (
	// response.in_progress of one that was queued, .completed, .incomplete and .failed; those that begin one are written by sendWhole
	responseEvent struct {
		eventHead
		Response *Response `json:"response"`
	}
	// response.output_item.added; .done is written by sendWhole
	itemEvent struct {
		eventHead
		OutputIndex int `json:"output_index"`
		Item        any `json:"item"`
	}
	// response.content_part.added and .done
	contentPartEvent struct {
		itemHead
		ContentIndex int `json:"content_index"`
		Part         any `json:"part"`
	}
	// response.output_text.done
	textDoneEvent struct {
		itemHead
		ContentIndex int              `json:"content_index"`
		Text         string           `json:"text"`
		Logprobs     []jsontext.Value `json:"logprobs"`
	}
	// response.refusal.done
	refusalDoneEvent struct {
		itemHead
		ContentIndex int    `json:"content_index"`
		Refusal      string `json:"refusal"`
	}
	// response.reasoning_summary_part.added and .done
	summaryPartEvent struct {
		itemHead
		SummaryIndex int         `json:"summary_index"`
		Part         summaryText `json:"part"`
	}
	// response.reasoning_summary_text.done
	summaryDoneEvent struct {
		itemHead
		SummaryIndex int    `json:"summary_index"`
		Text         string `json:"text"`
	}
	// response.function_call_arguments.done
	argumentsDoneEvent struct {
		itemHead
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	// response.custom_tool_call_input.done
	inputDoneEvent struct {
		itemHead
		Input string `json:"input"`
	}
	// error; see failed
	errorEvent struct {
		eventHead
		Code    string    `json:"code"`
		Message string    `json:"message"`
		Param   *string   `json:"param"`
		Error   errorInfo `json:"error"`
	}
	errorInfo struct {
		Type    string  `json:"type"`
		Code    string  `json:"code"`
		Message string  `json:"message"`
		Param   *string `json:"param"`
	}
)

// endEvents are the names of a response's last event, by how it ended. The API has no event for a cancelled response; clients
// read its status from the response in the event.
var endEvents = map[Status]string{
	Completed:  "response.completed",
	Incomplete: "response.incomplete",
	Failed:     "response.failed",
	Cancelled:  "response.incomplete",
}

// IsEnd reports whether an event, in the form that SetBuffer got it, is the last of its
// response. It looks at the name alone.
// It is for logs that were written by this package: a stored event has its name in the first line.
func IsEnd(event []byte) bool {
	name, _, _ := bytes.Cut(event, []byte("\n"))
	for _, end := range endEvents {
		if string(name) == "event: "+end {
			return true
		}
	}
	return false
}

// created implements watcher. A second event says the same of the response: that it is queued, or in progress. Both have the
// whole of it, which is encoded once.
func (s *stream) created(r *Response) error {
	whole, second := openai.Encode(r), "response.in_progress"
	if r.Status == Queued {
		second = "response.queued"
	}
	for _, name := range []string{"response.created", second} {
		if err := s.sendWhole(name, `,"response":`, whole); err != nil {
			return err
		}
	}
	return nil
}

// inProgress implements watcher, for a response that was queued. Clients show from here on that the model is at work.
func (s *stream) inProgress(r *Response) error {
	name := "response.in_progress"
	return s.send(name, responseEvent{s.head(name), r})
}

// ended implements watcher. The event holds the whole response, with all of its output.
func (s *stream) ended(r *Response) error {
	name := endEvents[r.Status]
	if err := s.send(name, responseEvent{s.head(name), r}); err != nil {
		return err
	}
	// No flush: the encoder flushes after its last step.
	return s.out.SetBuffer(append(s.out.Buffer(), DoneLine...))
}

// failed implements watcher. The error is in the event twice: flat, as the OpenAPI document has it, and in "error", where
// some clients look for it.
func (s *stream) failed(f *Failure) error {
	// The code that the same error would have had as an HTTP answer.
	code := cmp.Or(f.httpCode, f.Code)
	return s.send("error", errorEvent{s.head("error"), code, f.Message, nil, errorInfo{cmp.Or(f.kind, serverError), code, f.Message, nil}})
}

// flush implements watcher.
func (s *stream) flush() error { return s.out.Flush() }

// added implements watcher. It announces an item and, if it has parts, its one part.
func (s *stream) added(it *item) error {
	const name = "response.output_item.added"
	if err := s.send(name, itemEvent{s.head(name), it.index, it.wire()}); err != nil {
		return err
	}
	s.prepareDeltas(it)
	return s.partAdded(it)
}

// partAdded announces an item's part, where it has one. Hidden reasoning has none.
func (s *stream) partAdded(it *item) error {
	if it.hidden {
		return nil
	}
	switch it.kind {
	case messageItem, refusalItem:
		const name = "response.content_part.added"
		return s.send(name, contentPartEvent{itemHead: s.itemHead(name, it), Part: it.contentPart()})
	case reasoningItem:
		const name = "response.reasoning_summary_part.added"
		return s.send(name, summaryPartEvent{itemHead: s.itemHead(name, it), Part: it.summaryText()})
	}
	return nil
}

// deltaEvents are the deltas of each kind of item: their names, and the members before and after the text.
var deltaEvents = [...]struct{ name, before, after string }{
	messageItem:      {"response.output_text.delta", `"content_index":0,`, `,"logprobs":[]`},
	reasoningItem:    {"response.reasoning_summary_text.delta", `"summary_index":0,`, ``},
	functionCallItem: {"response.function_call_arguments.delta", ``, ``},
	customCallItem:   {"response.custom_tool_call_input.delta", ``, ``},
	refusalItem:      {"response.refusal.delta", `"content_index":0,`, ``},
}

// prepareDeltas builds the bytes that all deltas of it have in common, so that a delta costs no more than its text.
func (s *stream) prepareDeltas(it *item) {
	if it.kind.whole() {
		return
	}
	d := deltaEvents[it.kind]
	// Ids and names need no escapes: they are ours.
	s.before = append(s.before[:0], "event: "+d.name+"\ndata: {\"type\":\""+d.name+`","item_id":"`+it.id+`","output_index":`...)
	s.before = strconv.AppendInt(s.before, int64(it.index), 10)
	s.before = append(s.before, ","+d.before+`"delta":`...)
	s.after = append(append(s.after[:0], d.after...), `,"sequence_number":`...)
}

// delta implements watcher. It is the hot path: it allocates nothing.
func (s *stream) delta(_ *item, text []byte) error {
	// Straight into the connection's buffer, see Out.
	b := append(s.out.Buffer(), s.before...)
	b = openai.AppendString(b, text)
	b = append(b, s.after...)
	b = strconv.AppendInt(b, s.next(), 10)
	return s.out.SetBuffer(append(b, "}\n\n"...))
}

// done implements watcher. It ends the item's part, if it has one, and the item.
func (s *stream) done(it *item, wire jsontext.Value) error {
	if err := s.partDone(it); err != nil {
		return err
	}
	const name = "response.output_item.done"
	return s.sendWhole(name, `,"output_index":`+strconv.Itoa(it.index)+`,"item":`, wire)
}

// partDone writes the events that end an item's part, or its arguments.
func (s *stream) partDone(it *item) error {
	if it.hidden {
		return nil
	}
	switch it.kind {
	case messageItem:
		name := "response.output_text.done"
		if err := s.send(name, textDoneEvent{itemHead: s.itemHead(name, it), Text: string(it.text)}); err != nil {
			return err
		}
		name = "response.content_part.done"
		return s.send(name, contentPartEvent{itemHead: s.itemHead(name, it), Part: it.contentPart()})
	case refusalItem:
		name := "response.refusal.done"
		if err := s.send(name, refusalDoneEvent{itemHead: s.itemHead(name, it), Refusal: string(it.text)}); err != nil {
			return err
		}
		name = "response.content_part.done"
		return s.send(name, contentPartEvent{itemHead: s.itemHead(name, it), Part: it.contentPart()})
	case reasoningItem:
		name := "response.reasoning_summary_text.done"
		if err := s.send(name, summaryDoneEvent{itemHead: s.itemHead(name, it), Text: string(it.text)}); err != nil {
			return err
		}
		name = "response.reasoning_summary_part.done"
		return s.send(name, summaryPartEvent{itemHead: s.itemHead(name, it), Part: it.summaryText()})
	case functionCallItem:
		const name = "response.function_call_arguments.done"
		return s.send(name, argumentsDoneEvent{s.itemHead(name, it), it.name, string(it.text)})
	case customCallItem:
		const name = "response.custom_tool_call_input.done"
		return s.send(name, inputDoneEvent{s.itemHead(name, it), string(it.text)})
	}
	return nil
}

// head takes the next sequence number.
func (s *stream) head(name string) eventHead { return eventHead{name, s.next()} }

// itemHead begins an event about a part of it, with the next sequence number.
func (s *stream) itemHead(name string, it *item) itemHead {
	return itemHead{s.head(name), it.id, it.index}
}

// next takes the next sequence number.
func (s *stream) next() int64 {
	n := s.seq
	s.seq++
	return n
}

// send writes one event. Our own types always encode, so an error is out's, or ours as agent.Internal.
func (s *stream) send(name string, event any) error {
	b := append(s.out.Buffer(), "event: "...)
	b = append(b, name...)
	b = append(b, "\ndata: "...)
	w := (*appending)(&b)
	// After an error the buffer is as it was: it learns of more by SetBuffer alone.
	if err := json.MarshalWrite(w, event, openai.Liberal); err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	return s.out.SetBuffer(append(b, "\n\n"...))
}

// appending is a buffer as an io.Writer.
type appending []byte

// Write implements io.Writer. It never fails.
func (a *appending) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// sendWhole writes an event whose last member is JSON that we have encoded before. It is copied: given to the encoder, all of
// it would be parsed again. members are what stands between the number and that JSON.
func (s *stream) sendWhole(name, members string, whole jsontext.Value) error {
	b := append(s.out.Buffer(), "event: "+name+"\ndata: {\"type\":\""+name+`","sequence_number":`...)
	b = strconv.AppendInt(b, s.next(), 10)
	b = append(b, members...)
	b = append(b, whole...)
	return s.out.SetBuffer(append(b, "}\n\n"...))
}
