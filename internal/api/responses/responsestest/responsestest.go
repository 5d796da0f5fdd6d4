// Package responsestest checks what the Responses API sends: every document and event against the API's schemas, which
// stand as data in schema.json, and a whole stream against the rules that no schema can say. Tests of any package use
// it.
package responsestest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"composer-api/internal/api/published"
	"composer-api/internal/sse"
)

// The stream's rules are in checkStream, one method for each kind of event. A rule that is
// broken is an error which names the event; the caller fails the test with the whole stream.

// Ours and not OpenAI's: it is stricter, because it says what this server sends, and small enough
// to be read.
//
//go:embed schema.json
var schemaFile []byte

// compiler compiles the definitions of schema.json once. It panics on a schema.json that is no
// schema: that is a mistake in this package.
var compiler = sync.OnceValue(func() *jsonschema.Compiler {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaFile))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		panic(err)
	}
	return c
})

var (
	mu sync.Mutex // a Compiler is for one goroutine
	// compiled has each definition once, by its name. mu guards it, too.
	compiled = map[string]*jsonschema.Schema{}
)

// schema compiles a definition once for the process. It may be called concurrently. A name that
// schema.json doesn't have panics.
func schema(def string) *jsonschema.Schema {
	mu.Lock()
	defer mu.Unlock()
	s, ok := compiled[def]
	if !ok {
		s = compiler().MustCompile("schema.json#/$defs/" + def)
		compiled[def] = s
	}
	return s
}

// Valid checks a document against a definition of schema.json: "response", "itemList", "error" and so on.
func Valid(t testing.TB, def string, doc []byte) {
	t.Helper()
	if err := check(def, doc); err != nil {
		t.Errorf("not a valid %s: %v\n%s", def, err, doc)
	}
}

// check is Valid without a test. It checks twice: against our own definitions, which say what this
// server sends, and against OpenAI's published document where that is there and knows the thing.
func check(def string, doc []byte) error {
	// Not json.Unmarshal: numbers must stay as they are written.
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return err
	}
	if err := schema(def).Validate(v); err != nil {
		return err
	}
	if name := publishedNames[def]; name != "" {
		// It passes everything when the published document isn't there.
		return published.Check(name, doc)
	}
	return nil
}

// publishedNames are the names that OpenAI's published document has for the definitions of schema.json that it knows.
var publishedNames = map[string]string{
	"response": "Response", "event": "ResponseStreamEvent", "itemList": "ResponseItemList",
	"inputTokens": "TokenCountsResource", "compactedResponse": "CompactResource", "error": "ErrorResponse",
}

// An Event is one event of a stream. Members of other kinds of events stay zero. Raw is the
// event's whole JSON.
// Item and Response stay JSON: what is in them was checked by the schema, and tests look at one or
// two of their fields.
type Event struct {
	Type        string          `json:"type"`
	Seq         int             `json:"sequence_number"`
	OutputIndex *int            `json:"output_index"`
	ItemID      string          `json:"item_id"`
	Delta       string          `json:"delta"`
	Text        *string         `json:"text"`
	Refusal     *string         `json:"refusal"`
	Arguments   *string         `json:"arguments"`
	Input       *string         `json:"input"`
	Item        json.RawMessage `json:"item"`
	Response    json.RawMessage `json:"response"`

	Raw []byte `json:"-"`
}

// Response is what tests look at of a response object.
// The names of its JSON are OpenAI's; the types are written again here on purpose: a test that
// decoded with package responses would not notice a wrong name.
type Response struct {
	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Output   []json.RawMessage `json:"output"`
	Previous *string           `json:"previous_response_id"`
	Store    bool              `json:"store"`
	Error    *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Usage *struct {
		InputTokens int64 `json:"input_tokens"`
	} `json:"usage"`
}

// Interrupted reports whether the response failed because its process ended.
func (r *Response) Interrupted() bool {
	return r.Status == "failed" && r.Error != nil && r.Error.Code == "server_error" && strings.Contains(r.Error.Message, "was restarted")
}

// Stream checks a whole stream, from its first byte to its last, and returns its events. See [checkStream].
// It takes the bytes of an HTTP answer's body. Events up to a broken one are returned, too.
func Stream(t testing.TB, stream []byte) []Event {
	t.Helper()
	events, err := checkStream(stream)
	if err != nil {
		t.Errorf("%v\nin the stream\n%s", err, stream)
	}
	return events
}

// Final is the response object of a stream's last event.
// It ends the test when the stream has no end: what would follow makes no sense then.
func Final(t testing.TB, events []Event) Response {
	t.Helper()
	var r Response
	if len(events) == 0 {
		t.Fatal("the stream has no events")
	}
	if err := json.Unmarshal(events[len(events)-1].Response, &r); err != nil {
		t.Fatalf("the last event has no response: %v", err)
	}
	return r
}

// checkStream checks a whole stream: each event fits its schema; event lines repeat the types; sequence numbers count
// from 0; items have dense indexes and keep their ids, one is open at a time, each is done before the end, and its
// deltas add up to what it holds; the last response's output is the items that were emitted; [DONE] is the last line.
func checkStream(stream []byte) ([]Event, error) {
	// JavaScript's older rules, and Python's splitlines, break lines there.
	if bytes.ContainsAny(stream, "\u2028\u2029") {
		return nil, fmt.Errorf("the stream has U+2028 or U+2029 unescaped, which some SDKs take for the end of a line")
	}
	c := checker{}
	for raw, err := range sse.Scan(bytes.NewReader(stream)) {
		if err != nil {
			return c.events, err
		}
		if err := c.event(raw.Type, []byte(raw.Data)); err != nil {
			return c.events, fmt.Errorf("event %d (%s): %w", len(c.events), raw.Type, err)
		}
	}
	if !c.done {
		return c.events, fmt.Errorf("the stream does not end in [DONE]")
	}
	return c.events, nil
}

// A checker follows one stream. Its states: before response.created, then between items or
// within one (open), then ended, then done.
type checker struct {
	// events are all that came so far, and id is the response's, which every event must have.
	events []Event
	items  []json.RawMessage // that are done
	open   *openItem
	ended  bool // the last event was seen
	done   bool // [DONE] was seen
	id     string
}

// An openItem is the item that the stream is in the middle of.
type openItem struct {
	id     string
	deltas strings.Builder
	text   *string // what a done event says that the deltas add up to
}

// endTypes are the events that may be the last.
var endTypes = []string{"response.completed", "response.incomplete", "response.failed"}

// event takes the next event of the stream: name is that of its event line.
func (c *checker) event(name string, data []byte) error {
	// Not an event, but a line of its own that OpenAI's SDKs wait for.
	if string(data) == "[DONE]" {
		if !c.ended {
			return fmt.Errorf("[DONE] before the last event")
		}
		c.done = true
		return nil
	}
	if c.ended {
		return fmt.Errorf("comes after the last event")
	}
	if err := check("event", data); err != nil {
		return err
	}
	// A copy: the scanner uses its buffer again.
	e := Event{Raw: slices.Clone(data)}
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	if name != e.Type {
		return fmt.Errorf("its type is %s", e.Type)
	}
	if e.Seq != len(c.events) {
		return fmt.Errorf("sequence number %d, want %d", e.Seq, len(c.events))
	}
	c.events = append(c.events, e)
	// Events of the whole response have no item.
	if e.Response != nil {
		return c.response(&e)
	}
	// An error that comes before or between responses: only its schema is checked.
	if e.Type == "error" {
		return nil
	}
	return c.part(&e)
}

// response checks an event that holds the whole response: the first one, the last one, and those between.
func (c *checker) response(e *Event) error {
	var r Response
	if err := json.Unmarshal(e.Response, &r); err != nil {
		return err
	}
	if c.id == "" {
		c.id = r.ID
	}
	if r.ID != c.id {
		return fmt.Errorf("the response's id changed from %s to %s", c.id, r.ID)
	}
	if len(c.events) == 1 && e.Type != "response.created" {
		return fmt.Errorf("the first event must be response.created")
	}
	if !slices.Contains(endTypes, e.Type) {
		return nil
	}
	c.ended = true
	if c.open != nil {
		return fmt.Errorf("item %s is not done", c.open.id)
	}
	// As text, byte for byte: a client that has gathered the items must have the same as one that
	// takes the last event.
	if diff := cmp.Diff(texts(c.items), texts(r.Output)); diff != "" {
		return fmt.Errorf("output differs from the items emitted (-emitted +output):\n%s", diff)
	}
	return nil
}

// part checks an event of an item: that it belongs to the item that is open. The index is how
// many items are done, because only one is open at a time.
func (c *checker) part(e *Event) error {
	if e.OutputIndex == nil || *e.OutputIndex != len(c.items) {
		return fmt.Errorf("output_index %v, want %d", e.OutputIndex, len(c.items))
	}
	switch e.Type {
	case "response.output_item.added":
		if c.open != nil {
			return fmt.Errorf("item %s is still open", c.open.id)
		}
		// The item's id may not change between added and done, see itemDone.
		c.open = &openItem{id: itemID(e.Item)}
		return nil
	case "response.output_item.done":
		return c.itemDone(e)
	}
	if c.open == nil || c.open.id != e.ItemID {
		return fmt.Errorf("item %s is not open", e.ItemID)
	}
	c.open.deltas.WriteString(e.Delta)
	for _, text := range []*string{e.Text, e.Refusal, e.Arguments, e.Input} {
		if text != nil {
			c.open.text = text
		}
	}
	return nil
}

// itemDone closes the open item, and compares its text with the deltas. An item of which no
// event told the whole text is not compared.
func (c *checker) itemDone(e *Event) error {
	id := itemID(e.Item)
	if c.open == nil || c.open.id != id {
		return fmt.Errorf("item %s is not open", id)
	}
	if c.open.text != nil && *c.open.text != c.open.deltas.String() {
		return fmt.Errorf("the deltas add up to %q, but the item holds %q", c.open.deltas.String(), *c.open.text)
	}
	c.open = nil
	c.items = append(c.items, e.Item)
	return nil
}

// itemID is the id of an item; "" when it has none.
func itemID(item json.RawMessage) string {
	var head struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(item, &head) != nil {
		return ""
	}
	return head.ID
}

// texts are the JSON texts as strings, which a diff can show.
func texts(raws []json.RawMessage) []string {
	list := make([]string, len(raws))
	for i, raw := range raws {
		list[i] = string(raw)
	}
	return list
}

// Types are the types of events, runs of one type as one.
func Types(events []Event) []string {
	var types []string
	for _, e := range events {
		types = append(types, e.Type)
	}
	// A test of a stream compares the kinds of its events; how many deltas there were depends on
	// the chunks of upstream.
	return slices.Compact(types)
}
