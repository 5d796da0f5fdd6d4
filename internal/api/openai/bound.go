package openai

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
)

// Bounds on what one request may hold, counted on its bytes before anything is decoded. How it
// goes: Add walks over the bytes and keeps a stack of the open brackets (frame); each open
// bracket knows its place in a request, if something there is bounded; and each element of a
// list counts for what the list holds.

// Bounds are how many things of each kind one request may hold, and how large a schema may be. Without them a body of a
// few megabytes of "{}" would take a gigabyte once decoded. The zero of each is its default, which is far above what
// clients send: a long conversation with many tools has some ten thousand values in all.
//
// They are settings (COMPOSER_MAX_…), which package cli hands in; see docs/settings.md.
type Bounds struct {
	// Values are all objects, arrays and list elements together; default 250,000.
	Values int
	// Messages are those of messages, and the prompts of the legacy form; default 100,000.
	Messages int
	// Items are those of the Responses API's input; default 100,000.
	Items int
	// Parts are the parts of all contents together; default 100,000.
	Parts int
	// Tools are those of tools and functions; default 10,000.
	Tools int
	// Calls are those of all messages' tool_calls together; default 100,000.
	Calls int
	// Schema is the largest schema, of a tool or of the answer, in bytes; default 4 MiB.
	Schema int
}

// withDefaults fills in the zero fields.
func (b Bounds) withDefaults() Bounds {
	return Bounds{
		Values: cmp.Or(b.Values, 250_000), Messages: cmp.Or(b.Messages, 100_000), Items: cmp.Or(b.Items, 100_000), Parts: cmp.Or(b.Parts, 100_000),
		Tools: cmp.Or(b.Tools, 10_000), Calls: cmp.Or(b.Calls, 100_000), Schema: cmp.Or(b.Schema, 4<<20),
	}
}

// A kind is what a list holds.
type kind uint8

const (
	// values are all values of a document together, whatever they are.
	values kind = iota
	// What follows is counted where it has its place: see request.
	messages
	items
	parts
	tools
	calls
	kinds
)

// kindWords name the kinds in errors.
var kindWords = [kinds]string{messages: "messages", items: "items", parts: "content parts", tools: "tools", calls: "tool calls"}

// of is the bound on a kind.
func (b *Bounds) of(k kind) int {
	return [kinds]int{b.Values, b.Messages, b.Items, b.Parts, b.Tools, b.Calls}[k]
}

// A place is where in a request a value stands, as far as something there is bounded.
//
// A place of which nothing is known is nil, and all that is in it counts as values alone.
//
//	{"messages": [{"content": [{…}]}]}
//	 │            │           └ a list of parts
//	 │            └ an element of a list of messages
//	 └ the root
type place struct {
	members map[string]*place // of an object
	element *place            // of a list; nil when nothing is known of its elements
	kind    kind              // what the list holds; values for nothing in particular
	schema  bool              // an object that is a schema
}

// request is the place of a body, of whatever surface: a member means the same on all of them.
//
//	messages[].content[]              chat, and Anthropic's with content[] below a part
//	input[].content[], output[]       the Responses API; input_items' items
//	tools[].function.parameters       chat; parameters and input_schema without function elsewhere
//
// The tree is a table: it is made once, see root, and never changed.
func request() *place {
	list := func(k kind, members map[string]*place) *place {
		return &place{kind: k, element: &place{members: members}}
	}
	// A schema is bounded by its length, and not looked into.
	schema := &place{schema: true}
	with := func(name string, p *place) *place { return &place{members: map[string]*place{name: p}} }
	content := list(parts, map[string]*place{"content": list(parts, nil)})
	function := map[string]*place{"parameters": schema}
	item := map[string]*place{"content": content, "output": content, "summary": content}
	return &place{members: map[string]*place{
		"messages":        list(messages, map[string]*place{"content": content, "tool_calls": list(calls, nil)}),
		"prompt":          list(messages, nil),
		"system":          content,
		"input":           list(items, item),
		"items":           list(items, item),
		"functions":       list(tools, function),
		"tools":           list(tools, map[string]*place{"function": {members: function}, "parameters": schema, "input_schema": schema}),
		"response_format": with("json_schema", with("schema", schema)),
		"text":            with("format", with("schema", schema)),
		"output_format":   with("schema", schema),
	}}
}

// root is the one place of a body. To make it for each request would be a tenth of what a short one allocates.
var root = sync.OnceValue(request)

// A Counter counts what a request holds while its document comes in pieces, so that what is over a bound is refused before it
// takes memory. It allocates little. Whether the document is valid JSON is for the decoder to say; of invalid
// JSON the counts mean nothing. A Counter is for one document and one goroutine.
//
// It knows nothing of a value but its first byte and its place, and nothing of a text but where it
// ends. So it needs a few bytes for each open bracket, however large the document is.
type Counter struct {
	bounds Bounds
	// counts has the number of each kind so far.
	counts [kinds]int
	open   []frame // the brackets that are open at this byte
	root   *place
	offset int // of the piece in the document
	// quoted says that the next byte is within a string.
	quoted  bool
	escaped bool // after a backslash in a string
	// key is the name that is being read, without its quotes, when naming is set. An overlong one is cut: it is none of ours.
	key    []byte
	naming bool
}

// A frame is a bracket that is open.
//
// started is set by the first thing in a bracket and taken back by each comma, so it tells
// where an element or a name begins.
type frame struct {
	// bracket is '{' or '['.
	bracket byte
	started bool   // it holds something
	place   *place // nil when nothing in it is bounded
	name    string // of an object's member that is being read, when it is one of place's
	count   int    // elements of a list so far
	start   int    // where it begins in the document
}

// maxKey is longer than the names of request, also when they are written with escapes.
const maxKey = 128

// NewCounter makes a Counter for a document of a client's.
func NewCounter(b Bounds) *Counter { return &Counter{bounds: b.withDefaults(), root: root()} }

// Add counts what is in the next piece. It fails with an *agent.Error, InvalidValue with the place of the list or schema as Param,
// once the document is over a bound.
//
// After an error the document is to be refused, and no more of it need be added.
func (c *Counter) Add(piece []byte) error {
	defer func() { c.offset += len(piece) }()
	for i := 0; i < len(piece); i++ {
		if c.quoted {
			i = c.endOfString(piece, i)
			continue
		}
		b := piece[i]
		switch b {
		case ' ', '\n', '\r', '\t', ':':
			continue
		// Closing brackets are not compared with opening ones: the decoder refuses what doesn't
		// fit.
		case '}', ']':
			if err := c.closed(c.offset + i); err != nil {
				return err
			}
			continue
		case ',':
			if top := c.top(); top != nil {
				top.started = false // something follows
			}
			continue
		}
		if err := c.element(b); err != nil {
			return err
		}
		switch b {
		case '"':
			c.quoted = true
		case '{', '[':
			if err := c.opened(b, c.offset+i); err != nil {
				return err
			}
		}
	}
	return c.schemaAt(c.offset + len(piece))
}

// top is the innermost bracket that is open; nil outside of all.
func (c *Counter) top() *frame {
	if len(c.open) == 0 {
		return nil
	}
	return &c.open[len(c.open)-1]
}

// element notes that something begins with the byte b: an element of the list, or a name in the object, that is
// innermost. The value of a member is neither.
func (c *Counter) element(b byte) error {
	top := c.top()
	// top is nil for the root, which is no element of anything.
	if top == nil || top.started {
		return nil
	}
	top.started = true
	if top.bracket == '{' {
		c.naming, c.key = b == '"' && top.place != nil && top.place.members != nil, c.key[:0]
		top.name = ""
		return nil
	}
	top.count++
	if err := c.count(values); err != nil {
		return err
	}
	if top.place != nil && top.place.kind != values {
		return c.count(top.place.kind)
	}
	return nil
}

// opened notes a bracket. A list or an object counts as a value, and as an element of what it stands in.
func (c *Counter) opened(bracket byte, at int) error {
	f := frame{bracket: bracket, place: c.inside(), start: at}
	c.open = append(c.open, f)
	return c.count(values)
}

// inside is the place of a value that begins now.
func (c *Counter) inside() *place {
	top := c.top()
	switch {
	case top == nil:
		return c.root
	case top.place == nil:
		return nil
	case top.bracket == '[':
		return top.place.element
	}
	return top.place.members[top.name]
}

// closed notes a closing bracket. A bracket that closes nothing is passed over: the decoder
// says that it is wrong.
func (c *Counter) closed(at int) error {
	if len(c.open) == 0 {
		return nil
	}
	if err := c.schemaAt(at + 1); err != nil {
		return err
	}
	c.open = c.open[:len(c.open)-1]
	return nil
}

// schemaAt refuses a schema that began so long before the byte at. A schema within another is not looked at: what a
// schema holds has no place.
func (c *Counter) schemaAt(at int) error {
	for i := range min(len(c.open), maxSchemaDepth) {
		f := &c.open[i]
		if f.place == nil || !f.place.schema {
			continue
		}
		if at-f.start > c.bounds.Schema {
			param := c.path(i)
			return agent.ParamError(agent.InvalidValue, param, "'%s' has more than %d bytes, which is the most that a schema may have. Send a smaller one.", param, c.bounds.Schema)
		}
		return nil
	}
	return nil
}

// maxSchemaDepth is how many brackets are open, at most, at the beginning of a schema of request.
const maxSchemaDepth = 6

// count counts one more of a kind.
//
// The bound itself is allowed; one more is the error.
func (c *Counter) count(k kind) error {
	c.counts[k]++
	most := c.bounds.of(k)
	switch {
	case c.counts[k] <= most:
		return nil
	case k == values:
		return agent.Errorf(agent.InvalidValue, "The request holds more than %d objects, arrays and list elements. Send fewer messages, parts, tools or calls.", most)
	}
	param := c.path(len(c.open) - 1)
	return agent.ParamError(agent.InvalidValue, param, "With '%s' the request holds more than %d %s, which is the most that it may hold. Send fewer.", param, most, kindWords[k])
}

// path is where the value of the open bracket i stands: "messages[17].content". It is for the
// words of an error, and names the places from the outside in.
func (c *Counter) path(i int) string {
	var b strings.Builder
	for _, f := range c.open[:i] {
		if f.bracket == '[' {
			b.WriteString("[" + strconv.Itoa(f.count-1) + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(f.name)
	}
	return b.String()
}

// endOfString is the index of the closing quote of the string that start is in, or len(piece) when it ends in a later
// piece. Most of a request is text in strings, so it is searched and not looked at byte by byte.
//
// The end is the first quote behind an even number of backslashes. Text that is code has an escape every few bytes, and most of
// them are no quotes, so that it is quotes that are looked for.
func (c *Counter) endOfString(piece []byte, start int) int {
	if c.naming {
		return c.endOfName(piece, start)
	}
	from := start
	if c.escaped { // by the last byte of the piece before
		c.escaped = false
		from++
	}
	for {
		length := bytes.IndexByte(piece[from:], '"')
		if length < 0 {
			c.escaped = backslashes(piece[from:])%2 == 1
			return len(piece)
		}
		quote := from + length
		if backslashes(piece[from:quote])%2 == 0 {
			c.quoted = false
			return quote
		}
		from = quote + 1
	}
}

// backslashes is how many there are at the end of text.
func backslashes(text []byte) int {
	n := 0
	for n < len(text) && text[len(text)-1-n] == '\\' {
		n++
	}
	return n
}

// endOfName is endOfString for the name of a member, which is read on the way.
//
// The work is linear, also for a string of nothing but backslashes: quote is looked for again
// only after it was passed.
func (c *Counter) endOfName(piece []byte, start int) int {
	quote := -1 // the next one, escaped or not
	for i := start; i < len(piece); {
		if c.escaped {
			c.escaped = false
			c.spell(piece[i : i+1])
			i++
			continue
		}
		if quote < i {
			if quote = bytes.IndexByte(piece[i:], '"'); quote < 0 {
				quote = len(piece)
			} else {
				quote += i
			}
		}
		if backslash := bytes.IndexByte(piece[i:quote], '\\'); backslash >= 0 {
			c.spell(piece[i : i+backslash+1])
			i += backslash + 1
			c.escaped = true
			continue
		}
		c.spell(piece[i:quote])
		if quote < len(piece) {
			c.quoted = false
			c.named()
		}
		return quote
	}
	return len(piece)
}

// spell adds to the name that is being read. What is over maxKey is dropped, and the name then
// is none that is known.
func (c *Counter) spell(piece []byte) {
	if c.naming {
		c.key = append(c.key, piece[:min(len(piece), maxKey-len(c.key))]...)
	}
}

// named notes the name that has been read, when it is one of the object's that are known.
// Escapes in a name are undone, because "m\u0065ssages" is messages to the decoder, too.
func (c *Counter) named() {
	if !c.naming {
		return
	}
	c.naming = false
	name := c.key
	if bytes.IndexByte(name, '\\') >= 0 {
		var err error
		if name, err = jsontext.AppendUnquote(nil, slices.Concat([]byte{'"'}, name, []byte{'"'})); err != nil {
			return
		}
	}
	top := c.top()
	if _, known := top.place.members[string(name)]; known {
		top.name = string(name)
	}
}
