package responses

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// An Item is an input item: a message, a call, a result. It comes from a request's input, or from a stored response's input
// and output, which have the same form:
//
//	{"role": "user", "content": "hi"}
//	{"type": "function_call", "call_id": "call_1", "name": "read", "arguments": "{\"path\": \"go.mod\"}"}
//	{"type": "function_call_output", "call_id": "call_1", "output": "module …"}
//
// It is decoded once into wire, which the model's messages are made from, and kept as raw,
// which the store and lists repeat. A copy shares the memory of both.
type Item struct {
	// span is where the item stands in what was decoded. raw is cut out by it.
	span  openai.Span
	raw   jsontext.Value // as it was sent; nil for input that is a plain string
	wire  wireItem
	param string // where it stands in the request
}

// A wireItem is an item of any type. Which fields are used depends on the type. Arguments and Input are raw, because their
// form depends on the type and clients don't keep to it.
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

// UnmarshalJSONFrom implements json.UnmarshalerFrom. It notes where the item stands in the data; cut does the rest. A null
// becomes an Item without a type, which locate leaves out.
func (it *Item) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*it = Item{}
	switch d.PeekKind() {
	case 'n':
		return d.SkipValue()
	case '"':
		// Not the API's form, but it can mean only one thing.
		var text string
		err := json.UnmarshalDecode(d, &text)
		*it = textItem(text)
		return err
	}
	it.span.Start = d.InputOffset()
	if err := json.UnmarshalDecode(d, &it.wire); err != nil {
		return err
	}
	it.span.End = d.InputOffset()
	it.inferType()
	return nil
}

// The types of items that are handled specially.
const (
	messageType    = "message"
	referenceType  = "item_reference"
	compactionType = "compaction"
	triggerType    = "compaction_trigger"
)

// textItem is the item for input that is a plain string. It has no raw JSON, and its id is given later.
func textItem(text string) Item {
	return Item{wire: wireItem{Type: messageType, Role: "user", Content: content{textPart(text)}}}
}

// cut gives items, which were decoded from data, their bytes in it.
func cut(items []Item, data []byte) {
	for i := range items {
		it := &items[i]
		it.raw = it.span.Cut(data)
		it.wire.Content.cut(data, it.span.End-int64(len(it.raw)))
		it.span = openai.Span{}
	}
}

// own is for known.Decode: the item gets bytes of its own. size is that of these and of the item's parts and tools.
func (it *Item) own() (size int, ok bool) {
	it.raw = it.raw.Clone()
	for i := range it.wire.Content {
		p := &it.wire.Content[i]
		p.raw = p.span.Cut(it.raw)
	}
	// An estimate of the memory: the texts lie in raw, as far as they have no escapes.
	parts, tools := len(it.wire.Content)+len(it.wire.Output), len(it.wire.Tools)
	return len(it.raw) + parts*int(unsafe.Sizeof(wirePart{})) + tools*int(unsafe.Sizeof(wireTool{})), true
}

// locate tells items their path, and leaves out those that are null. The path counts the nulls, so that "input[3]" in an error is
// the client's fourth.
func locate(items []Item, param string) []Item {
	located := make([]Item, 0, len(items))
	for i, it := range items {
		// A null. An object without a type stays, and is an error when it is used.
		if it.wire.Type == "" && it.raw == nil {
			continue
		}
		it.param = param + "[" + strconv.Itoa(i) + "]"
		located = append(located, it)
	}
	return located
}

// inferType sets the type of an item that came without one: what has a role or content is a message, as in OpenAI's own
// examples; what has only an id is a reference. Otherwise the type stays "", which is an error later.
func (it *Item) inferType() {
	w := &it.wire
	switch {
	case w.Type != "":
	case w.Role != "" || w.Content != nil:
		w.Type = messageType
	case w.ID != "":
		w.Type = referenceType
	}
}

// StoredItems decodes items that were stored: a list that [EncodeItems] has made, or a response's output. An error means that
// what is stored is damaged: the caller treats it as its own fault and not the client's.
func StoredItems(list []byte) ([]Item, error) {
	var items []Item
	if err := openai.DecodeOwn(list, &items); err != nil {
		return nil, err
	}
	cut(items, list)
	return locate(items, "previous_response_id"), nil
}

// EncodeItems encodes items for the store: each with an id, a type and, for messages, a list of parts
// and a status. Everything else stays as the client sent it, so that StoredItems gives an item that
// means the same. responseID is the response that they are the input of; ids of items without one are
// derived from it. Errors are agent.Internal: what was decoded once can be encoded.
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

// WithoutIDs are the items as if they had come without an id, so that EncodeItems gives them one of ours. The caller's
// items stay as they are.
func WithoutIDs(items []Item) []Item {
	anonymous := slices.Clone(items)
	for i := range anonymous {
		anonymous[i].wire.ID = ""
	}
	return anonymous
}

// OfRequest reports whether the item means something for the request alone that it came in, so that nothing of it is to
// be kept in a conversation.
func (it *Item) OfRequest() bool { return it.wire.Type == triggerType }

// ID is the item's id; "" when it has none.
func (it *Item) ID() string { return it.wire.ID }

// Param is the item's path in the request, such as "input[3]".
func (it *Item) Param() string { return it.param }

// Reference is the id of the item that this item_reference refers to; "" for any other item.
func (it *Item) Reference() string {
	if it.wire.Type != referenceType {
		return ""
	}
	return it.wire.ID
}

// Resolve replaces a reference by the item that it refers to. The path stays, so that errors name what the client sent.
func (it *Item) Resolve(to Item) {
	param := it.param
	*it = to
	it.param = param
}

// itemIDPrefixes are the beginnings of the ids that we give to input items without one. A type
// that isn't here gets "item_". The prefixes are OpenAI's; clients tell types apart by them.
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

// encode encodes the item, with the members that it lacks. Its other members stay as the client
// sent them. index is the item's place in its list, which the id is derived from.
func (it *Item) encode(responseID string, index int) (jsontext.Value, error) {
	// A client's own id stays, so that a reference to it finds the item.
	id := it.wire.ID
	if id == "" {
		id = inputItemID(responseID, cmp.Or(itemIDPrefixes[it.wire.Type], "item_"), index)
	}
	first := []member{{"id", openai.Encode(id)}, {"type", openai.Encode(it.wire.Type)}}
	if it.wire.Type == messageType {
		first = append(first,
			member{"status", openai.Encode(Completed)},
			member{"role", openai.Encode(cmp.Or(it.wire.Role, "user"))},
			member{"content", it.wire.Content.echo(it.wire.Role)},
		)
	}
	// A plain string as input: an item that we have made.
	if it.raw == nil {
		return object(first), nil
	}
	rest, err := members(it.raw, first)
	return object(append(first, rest...)), err
}

// text is an item of an unknown type as text for the model: its JSON without its id, which means nothing, so that it is
// the same after it was stored, and without the members named besides.
func (it *Item) text(besides ...string) string {
	// The type first, as encode writes it: text before and after a response was stored must be the
	// same, for the digest of the conversation.
	first := []member{{"type", openai.Encode(it.wire.Type)}}
	without := []member{{name: "id"}, first[0]}
	for _, name := range besides {
		without = append(without, member{name: name})
	}
	rest, err := members(it.raw, without)
	if err != nil {
		return wellFormed(it.raw)
	}
	return wellFormed(object(append(first, rest...)))
}

// wellFormed is text without invalid UTF-8: U+FFFD stands for each byte of it, as in what is stored.
func wellFormed(text []byte) string {
	if utf8.Valid(text) {
		return string(text)
	}
	return string([]rune(string(text)))
}

// A member is a member of a JSON object. value is valid JSON.
type member struct {
	// name is decoded, without quotes.
	name  string
	value jsontext.Value
}

// members are the members of an object, in order, without those that are null or whose name is among besides. Of members
// with the same name the last counts, as when an object is decoded, but stands where the first stood.
//
// It reads the object token by token, because a map would lose the order that the client has chosen.
func members(object jsontext.Value, besides []member) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(object), openai.Liberal)
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	index := map[string]int{} // by name, in list; -1 is left out
	for _, m := range besides {
		index[m.name] = -1
	}
	var list []member
	for dec.PeekKind() != '}' {
		var name string
		if err := json.UnmarshalDecode(dec, &name); err != nil {
			return nil, err
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		at, seen := index[name]
		if !seen {
			at = len(list)
			index[name] = at
			list = append(list, member{name: name})
		}
		if at >= 0 {
			// ReadValue's result is good until the next read only.
			list[at].value = value.Clone()
		}
	}
	return slices.DeleteFunc(list, func(m member) bool { return m.value.Kind() == 'n' }), nil
}

// object is the JSON object with these members, in their order. Their values must be valid JSON.
func object(members []member) jsontext.Value {
	b := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = openai.AppendString(b, m.name)
		b = append(b, ':')
		b = append(b, m.value...)
	}
	return append(b, '}')
}
