package responses

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/api/openai"
)

// The end of a background response whose process has died. The store has the response as it was
// last written, and its events so far; from both follows what a client that asks for the events
// still has to get.

// interruptedFailure is that of a background response whose process ended. Its message, which is in the store, tells it
// from other failures: never change it.
var interruptedFailure = Failure{
	Code:    serverError,
	Message: "The server was restarted while this response was in progress. Please send the request again.",
}

// Interrupt ends a response whose process is about to end. The response fails with
// interruptedFailure, in its stream, too. It is called by the process that ends, while it still can.
func (e *Encoder) Interrupt() error {
	failure := interruptedFailure
	e.resp.Error = &failure
	return e.endEarly(Failed)
}

// Interrupt marks a response as failed because the process that was working on it has ended. It is
// the same as [Encoder.Interrupt], for who has only the stored object. Its items stay as they are.
func (r *Response) Interrupt() {
	failure := interruptedFailure
	r.Status, r.Error = Failed, &failure
}

// Interrupted reports whether [Response.Interrupt] or [Encoder.Interrupt] ended the response.
func (r *Response) Interrupted() bool {
	return r.Status == Failed && r.Error != nil && r.Error.Message == interruptedFailure.Message
}

// Unreadable takes the place of a stored background response that can't be read any more and
// whose process has ended. Nothing but its id and its time is known.
func Unreadable(id string, created time.Time) *Response {
	r := (&Request{Background: true, Store: true}).echo()
	r.ID, r.CreatedAt = id, created.Unix()
	r.Interrupt()
	return &r
}

// EndEvent is the last event of a response that has ended, with the sequence number seq.
func EndEvent(r *Response, seq int64) []byte {
	var out collector
	// A collector doesn't fail, and neither does encoding our own object.
	(&stream{out: &out, seq: seq}).ended(r)
	return out.events[0]
}

// Settle makes the events that the encoder of a response would still have made, had its process lived. r says how the
// response ended, and log is its events so far, complete and from the first. rest is the events that are still to come,
// without the DoneLine. r may be changed, as the table says. An error means that the log can't be read.
//
//	log                         r                           rest
//	ends with the end event     any                         none
//	items that are in r, too    ended well                  the items that the log lacks, and the end
//	more items than r has       failed or cancelled by      the end; the items of the log are put into r
//	                            somebody who saw only it
//
// It makes no use of a clock and of random ids, so the same log and response always give the
// same rest: two processes that settle the same response do not contradict each other.
func Settle(r *Response, log [][]byte) (rest [][]byte, err error) {
	if len(log) > 0 && IsEnd(log[len(log)-1]) {
		return nil, nil
	}
	// done are the items that the log has whole, and open is the one that it breaks off in.
	done, open, err := readLog(log)
	if err != nil {
		return nil, err
	}
	var out collector
	// The encoder goes on where the log ends: its first event gets the next sequence number.
	e := &Encoder{req: &Request{}, resp: *r, steps: &stream{out: &out, seq: int64(len(log))}}
	if len(log) == 0 {
		if err := e.begin(); err != nil {
			return nil, err
		}
	}
	announced := len(done)
	if open != nil {
		announced++
	}
	// Whoever has ended the row knew less than the log has. What clients were shown must be in the response, too.
	if (r.Status == Failed || r.Status == Cancelled) && len(r.Output) < announced {
		e.resp.Output, e.open = done, open
	} else if err := e.repeat(r.Output[min(len(done), len(r.Output)):], open); err != nil {
		return nil, err
	}
	if err := e.endEarly(r.Status); err != nil {
		return nil, err
	}
	*r = e.resp
	return out.events, nil
}

// begin announces a response of which the log has nothing: as it was when it was queued.
// Created and queued are the first two events of every background response, so a log without them
// is one that was never written, not one that was cut.
func (e *Encoder) begin() error {
	queued := e.resp
	queued.Status, queued.Output, queued.Error, queued.Usage = Queued, nil, nil, nil
	queued.UsageEstimated = false
	queued.CompletedAt, queued.IncompleteDetails = nil, nil
	return e.steps.created(&queued)
}

// repeat announces the items of a complete output that were not announced. The first of them may be announced in part: open is
// what the log has of it. The output itself stays as it is.
func (e *Encoder) repeat(items []jsontext.Value, open *item) error {
	// The index of an item is its place in the whole output, not in what is left to announce.
	first := len(e.resp.Output) - len(items)
	for i, raw := range items {
		it, err := readDoneItem(raw, first+i)
		if err != nil {
			return err
		}
		var had []byte
		if i == 0 && open != nil {
			had = open.text
			s := e.steps.(*stream)
			// Another encoder has announced this item. So the bytes that its deltas have in common,
			// which added would have built, are still missing.
			s.prepareDeltas(it)
			if open.hidden && !it.hidden { // cut between the item and its part
				begun := *it
				begun.text = nil
				if err := s.partAdded(&begun); err != nil {
					return err
				}
			}
		} else {
			begun := *it
			begun.status = InProgress
			// An item that comes in deltas is announced empty. One that comes whole (a shell call,
			// a patch) is announced as it is, because it has no deltas.
			if !it.kind.whole() {
				begun.text = nil
			}
			// The sealed form is there only when the item is done: it covers all of the text.
			if it.kind == reasoningItem {
				begun.sealed = ""
			}
			if err := e.steps.added(&begun); err != nil {
				return err
			}
		}
		// What was announced of the text is a prefix of it, unless the log is another's; then no delta can make up for it.
		if missing, ok := bytes.CutPrefix(it.text, had); ok && len(missing) > 0 && !it.hidden && !it.kind.whole() {
			if err := e.steps.delta(it, missing); err != nil {
				return err
			}
		}
		if err := e.steps.done(it, raw); err != nil {
			return err
		}
	}
	return nil
}

// readDoneItem decodes an item of an output: the reverse of item.wire, for what item holds.
func readDoneItem(raw jsontext.Value, index int) (*item, error) {
	var w struct {
		ID        string         `json:"id"`
		Type      string         `json:"type"`
		Status    Status         `json:"status"`
		CallID    string         `json:"call_id"`
		Name      string         `json:"name"`
		Namespace string         `json:"namespace"`
		Content   []writtenPart  `json:"content"`
		Summary   []summaryText  `json:"summary"`
		Arguments jsontext.Value `json:"arguments"`
		Input     string         `json:"input"`
		Action    jsontext.Value `json:"action"`
		Operation jsontext.Value `json:"operation"`
		Sealed    string         `json:"encrypted_content"`
	}
	if err := openai.DecodeOwn(raw, &w); err != nil {
		return nil, err
	}
	// An unknown type has the zero kind. It can't be in an output of ours, unless a newer server
	// has written it.
	it := &item{
		kind: itemKinds[w.Type], index: index, id: w.ID, status: w.Status,
		callID: w.CallID, name: w.Name, namespace: w.Namespace, sealed: w.Sealed,
	}
	switch it.kind {
	case messageItem:
		for _, part := range w.Content {
			if part.Type == "refusal" {
				it.kind = refusalItem
			}
			it.text = append(append(it.text, part.Text...), part.Refusal...)
		}
	case reasoningItem:
		// A reasoning item without a summary is one whose text the client hasn't asked for.
		it.hidden = len(w.Summary) == 0
		for _, part := range w.Summary {
			it.text = append(it.text, part.Text...)
		}
	case customCallItem:
		it.text = []byte(w.Input)
	case functionCallItem:
		it.text = []byte(textOf(w.Arguments))
	case toolSearchCallItem:
		it.text = w.Arguments
	case shellCallItem:
		it.text = w.Action
	case patchCallItem:
		it.text = w.Operation
	}
	return it, nil
}

// A writtenPart is a part of a message, as we have written it down.
type writtenPart struct {
	Type    string `json:"type"`
	Text    string `json:"text"`
	Refusal string `json:"refusal"`
}

// readLog returns the items of a log that are done, and the one that is open, nil when none is. It reads only events of items:
// the order is that of stream.
func readLog(log [][]byte) (done []jsontext.Value, open *item, err error) {
	for _, event := range log {
		// The log has the events as they were sent: "event: NAME", "data: JSON", and an empty line.
		_, data, _ := bytes.Cut(event, []byte("\ndata: "))
		var e struct {
			Type  string         `json:"type"`
			Item  jsontext.Value `json:"item"`
			Delta string         `json:"delta"`
			Part  writtenPart    `json:"part"`
		}
		if err := openai.DecodeOwn(data, &e); err != nil {
			return nil, nil, err
		}
		switch {
		case e.Type == "response.output_item.added":
			if open, err = readOpenItem(e.Item, len(done)); err != nil {
				return nil, nil, err
			}
		case e.Type == "response.output_item.done":
			done, open = append(done, e.Item), nil
		// What was announced as a message turns out to be a refusal with its first part.
		case open != nil && e.Part.Type == "refusal":
			open.kind = refusalItem
		case e.Type == "response.reasoning_summary_part.added" && open != nil:
			open.hidden = false
		case open != nil:
			open.text = append(open.text, e.Delta...)
		}
	}
	return done, open, nil
}

// itemKinds is the reverse of the types that item.wire writes.
var itemKinds = map[string]itemKind{
	"message": messageItem, "reasoning": reasoningItem, "function_call": functionCallItem,
	"custom_tool_call": customCallItem, "tool_search_call": toolSearchCallItem,
	"compaction": compactionItem, "shell_call": shellCallItem, "apply_patch_call": patchCallItem,
}

// readOpenItem decodes an item of an output_item.added event.
func readOpenItem(raw jsontext.Value, index int) (*item, error) {
	it, err := readDoneItem(raw, index)
	if err != nil {
		return nil, err
	}
	it.hidden = it.kind == reasoningItem // until its part is announced
	return it, nil
}

// A collector is an Out that keeps the events, each as a slice of its own, and leaves out the DoneLine.
type collector struct{ events [][]byte }

func (c *collector) Buffer() []byte { return nil }

// It may keep the slice: [collector.Buffer] gives none, so the stream makes a new one for each
// event.
func (c *collector) SetBuffer(event []byte) error {
	if string(event) != DoneLine {
		c.events = append(c.events, event)
	}
	return nil
}
func (c *collector) Flush() error { return nil }
