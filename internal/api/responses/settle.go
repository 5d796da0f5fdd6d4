package responses

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/api/openai"
)

// interruptedFailure is that of a background response whose process ended.
var interruptedFailure = Failure{
	Code:    "server_restarted",
	Message: "The server was restarted while this response was in progress. Please send the request again.",
}

// Interrupt ends a response whose process is about to end.
func (e *Encoder) Interrupt() error {
	failure := interruptedFailure
	e.resp.Error = &failure
	return e.endEarly(Failed)
}

// Interrupt marks a response as failed because the process that worked on it ended.
func (r *Response) Interrupt() {
	failure := interruptedFailure
	r.Status, r.Error = Failed, &failure
}

// Interrupted reports whether [Response.Interrupt] or [Encoder.Interrupt] ended the response.
func (r *Response) Interrupted() bool {
	return r.Status == Failed && r.Error != nil && r.Error.Code == interruptedFailure.Code
}

// Unreadable stands for a stored background response that can't be read any more and whose process ended.
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

// Settle finishes what the encoder of a response has begun and is not there to finish. r says how the response ended,
// and log is its events so far, whole and from the first. It returns the events that are still to come, without the
// DoneLine, and puts the items that the log tells of into a failed or cancelled r. A response that ended by itself is
// taken to be whole: then the one event to come is the last.
func Settle(r *Response, log [][]byte) (rest [][]byte, err error) {
	if len(log) > 0 && IsEnd(log[len(log)-1]) {
		return nil, nil
	}
	var out collector
	e := &Encoder{req: &Request{}, resp: *r, steps: &stream{out: &out, seq: int64(len(log))}}
	if r.Status == Failed || r.Status == Cancelled {
		if e.resp.Output, e.open, err = readLog(log); err != nil {
			return nil, err
		}
	}
	if err := e.endEarly(r.Status); err != nil {
		return nil, err
	}
	*r = e.resp
	return out.events, nil
}

// readLog gives the items that are done in a log, and the one that is open.
func readLog(log [][]byte) (done []jsontext.Value, open *item, err error) {
	for _, event := range log {
		_, data, _ := bytes.Cut(event, []byte("\ndata: "))
		var e struct {
			Type  string         `json:"type"`
			Item  jsontext.Value `json:"item"`
			Delta string         `json:"delta"`
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
		case open != nil && open.kind != toolSearchCallItem:
			open.text = append(open.text, e.Delta...)
		}
	}
	return done, open, nil
}

var itemKinds = map[string]itemKind{
	"message": messageItem, "reasoning": reasoningItem, "function_call": functionCallItem,
	"custom_tool_call": customCallItem, "tool_search_call": toolSearchCallItem,
}

// readOpenItem reads an item as output_item.added tells of it.
func readOpenItem(raw jsontext.Value, index int) (*item, error) {
	var w wireItem
	if err := openai.DecodeOwn(raw, &w); err != nil {
		return nil, err
	}
	it := &item{
		kind: itemKinds[w.Type], index: index, id: w.ID, status: InProgress,
		callID: w.CallID, name: w.Name, namespace: w.Namespace,
	}
	if it.kind == toolSearchCallItem {
		it.text = []byte("{}")
	}
	return it, nil
}

// A collector is an Out that keeps the events, each by itself.
type collector struct{ events [][]byte }

func (c *collector) Buffer() []byte { return nil }
func (c *collector) SetBuffer(event []byte) error {
	if string(event) != DoneLine {
		c.events = append(c.events, event)
	}
	return nil
}
func (c *collector) Flush() error { return nil }
