package responses

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// An Item is an input item: something that was said, called or answered. It comes from a request's input, or from a
// stored response's input and output, which have the same form.
type Item struct {
	raw   jsontext.Value // as it was sent; nil for input that is a plain string
	wire  wireItem
	param string // where it stands in the request; "" for an item of a stored response
}

// wireItem is an item of any type. Which fields matter depends on the type.
type wireItem struct {
	Type             string         `json:"type"`
	ID               string         `json:"id"`
	Role             string         `json:"role"`
	Content          content        `json:"content"` // messages
	CallID           string         `json:"call_id"`
	Name             string         `json:"name"`
	Namespace        string         `json:"namespace"`
	Arguments        jsontext.Value `json:"arguments"` // a string; tool_search_call: an object
	Input            jsontext.Value `json:"input"`     // custom_tool_call: a string
	Output           content        `json:"output"`
	Status           string         `json:"status"`
	EncryptedContent string         `json:"encrypted_content"`
	Tools            []wireTool     `json:"tools"` // additional_tools, tool_search_output
}

// UnmarshalJSON reads an item and keeps it as it was sent, too.
func (it *Item) UnmarshalJSON(b []byte) error {
	raw := jsontext.Value(bytes.Clone(b))
	switch raw.Kind() {
	case 'n':
		*it = Item{}
		return nil
	case '"':
		// Not the API's form, but there is only one thing that it can mean.
		*it = textItem(textOf(raw))
		return nil
	}
	*it = Item{raw: raw}
	if err := json.Unmarshal(b, &it.wire, liberal); err != nil {
		return err
	}
	it.settleType()
	return nil
}

// Types of items that are more than something to read.
const (
	messageType    = "message"
	referenceType  = "item_reference"
	compactionType = "compaction"
	triggerType    = "compaction_trigger"
)

// textItem is what input is when it is a plain string.
func textItem(text string) Item {
	return Item{wire: wireItem{Type: messageType, Role: "user", Content: content{textPart(text)}}}
}

// locate tells items where they stand and leaves out those that are null.
func locate(items []Item, param string) []Item {
	located := make([]Item, 0, len(items))
	for i, it := range items {
		it.param = param + "[" + strconv.Itoa(i) + "]"
		if it.raw != nil || it.wire.Type != "" {
			located = append(located, it)
		}
	}
	return located
}

// settleType names the type of an item that came without one.
func (it *Item) settleType() {
	w := &it.wire
	switch {
	case w.Type != "":
	case w.Role != "" || w.Content != nil:
		w.Type = messageType
	case w.ID != "":
		w.Type = referenceType
	}
}

// StoredItems decodes items that were kept: a list that [EncodeItems] has made, or a response's output.
func StoredItems(list []byte) ([]Item, error) {
	var items []Item
	if err := openai.Decode(list, &items); err != nil {
		return nil, err
	}
	return locate(items, "previous_response_id"), nil
}

// EncodeItems encodes items as the API shows a response's input items: each with an id, a type and, for messages, a
// list of parts and a status. responseID is whose input they are; the ids of items that have none derive from it.
func EncodeItems(responseID string, items []Item) ([]jsontext.Value, error) {
	list := make([]jsontext.Value, 0, len(items))
	for i := range items {
		encoded, err := items[i].encode(responseID, i)
		if err != nil {
			return nil, &agent.Error{Code: agent.Internal, Err: err}
		}
		list = append(list, encoded)
	}
	return list, nil
}

// ID is the item's id; "" when it has none.
func (it *Item) ID() string { return it.wire.ID }

// Type is the item's type.
func (it *Item) Type() string { return it.wire.Type }

// Param is where the item stands in the request, such as "input[3]".
func (it *Item) Param() string { return it.param }

// Reference is the id of the item that this one stands for; "" when it stands for itself.
func (it *Item) Reference() string {
	if it.wire.Type != referenceType {
		return ""
	}
	return it.wire.ID
}

// Resolve puts the item that it refers to in the place of a reference.
func (it *Item) Resolve(to Item) {
	param := it.param
	*it = to
	it.param = param
}

// itemIDPrefixes begin the ids that we give to input items without one. What isn't listed gets "item_".
var itemIDPrefixes = map[string]string{
	messageType:               "msg_",
	"reasoning":               "rs_",
	"function_call":           "fc_",
	"function_call_output":    "fco_",
	"custom_tool_call":        "ctc_",
	"custom_tool_call_output": "ctco_",
	"tool_search_call":        "tsc_",
	"tool_search_output":      "tso_",
	compactionType:            "cmpt_",
}

// encode writes the item with what it lacks. Its other members stay as the client sent them; those that are null, or
// the client's own private ones, go nowhere but here.
func (it *Item) encode(responseID string, index int) (jsontext.Value, error) {
	id := it.wire.ID
	if id == "" {
		prefix := itemIDPrefixes[it.wire.Type]
		if prefix == "" {
			prefix = "item_"
		}
		id = inputItemID(responseID, prefix, index)
	}
	m := memberWriter{seen: map[string]bool{}}
	m.add("id", mustMarshal(id))
	m.add("type", mustMarshal(it.wire.Type))
	if it.wire.Type == messageType {
		m.add("status", mustMarshal(Completed))
		m.add("role", mustMarshal(it.wire.Role))
		m.add("content", it.wire.Content.echo(it.wire.Role))
	}
	if it.raw != nil {
		if err := m.addAll(it.raw); err != nil {
			return nil, err
		}
	}
	return m.object(), nil
}

// A memberWriter writes the members of an object, each name once: the first wins.
type memberWriter struct {
	buf  []byte
	seen map[string]bool
}

func (m *memberWriter) add(name string, value jsontext.Value) {
	if m.seen[name] {
		return
	}
	m.seen[name] = true
	sep := byte(',')
	if len(m.buf) == 0 {
		sep = '{'
	}
	m.buf = append(m.buf, sep)
	m.buf = append(append(m.buf, mustMarshal(name)...), ':')
	m.buf = append(m.buf, value...)
}

// addAll adds the members of object that aren't null.
func (m *memberWriter) addAll(object jsontext.Value) error {
	dec := jsontext.NewDecoder(bytes.NewReader(object), liberal)
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		var name string
		if err := json.UnmarshalDecode(dec, &name); err != nil {
			return err
		}
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if value.Kind() != 'n' {
			m.add(name, value)
		}
	}
	return nil
}

func (m *memberWriter) object() jsontext.Value { return append(m.buf, '}') }
