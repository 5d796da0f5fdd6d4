package chat

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// A Keeper keeps completions whose client wants to come back to them (store: true). It may be called concurrently.
//
// It is implemented by package chat/stored, which this package must not know: the arrow goes the
// other way.
type Keeper interface {
	// Keep keeps a completion of owner. It is called before the client learns that the completion is done, and doesn't
	// fail the turn: who can't keep one says so in the log.
	Keep(owner string, c *Completion)
}

// A Completion is a whole answer that is to be kept, with what it answers. The Keeper may keep
// all of it: nobody changes it afterwards.
type Completion struct {
	ID       string
	Created  time.Time
	Object   []byte           // the completion as the API shows it, metadata included
	Messages []jsontext.Value // the request's messages in the form of the API's list
}

// keep prepares what a Keeper needs of a request with store: true. sent shares the memory of
// the request's body, and lives as long as the turn. Without store: true nothing is kept, and
// metadata isn't looked at.
//
// It is the last step of Decode, so that a request which is refused keeps nothing alive.
func (r *Request) keep(w *wireRequest) error {
	if w.Store == nil || !*w.Store {
		return nil
	}
	r.store = true
	if w.Metadata != nil {
		if json.Unmarshal(w.Metadata, &r.metadata, openai.Liberal) != nil {
			return agent.ParamError(agent.InvalidType, "metadata", "Invalid type for 'metadata': expected an object whose values are strings.")
		}
		if err := r.metadata.Check("metadata"); err != nil {
			return err
		}
	}
	r.sent = w.Messages
	return nil
}

// A keepingEncoder is an Encoder whose answer is kept, too, as the whole answer that it would be without a stream. Each event goes
// to two encoders:
//
//	event ─┬─► whole ─► copied ─► Keeper   in memory, always the whole answer
//	       └─► Encoder ─► client           a stream or the whole answer
//
// The Encoder that is embedded answers the client: Flush, Fail and Close are its own. A turn
// that fails keeps nothing, because whole never gets its Done. It belongs to the turn's
// goroutine, as every Encoder does.
type keepingEncoder struct {
	Encoder
	// req is what the answer is to; at is when the completion was created.
	req    *Request
	whole  *wholeAnswer
	copied buffer
	keeper Keeper
	at     time.Time
}

// A buffer is a ResponseWriter that holds what is written to it. It grows with the answer, which
// the gateway bounds.
type buffer struct {
	// header is written to by the answer and read by nobody.
	header http.Header
	body   []byte
}

// Header and WriteHeader implement http.ResponseWriter. The status is dropped.
func (b *buffer) Header() http.Header { return b.header }
func (b *buffer) WriteHeader(int)     {}

// Write implements http.ResponseWriter. It never fails.
func (b *buffer) Write(p []byte) (int, error) {
	b.body = append(b.body, p...)
	return len(p), nil
}

// newKeepingEncoder makes the encoder of a request whose answer keeper keeps. Both answers have the same id.
func newKeepingEncoder(w http.ResponseWriter, req *Request, keeper Keeper) *keepingEncoder {
	opt := Options{ID: agent.NewID(idPrefix, idRandom), Created: time.Now()}
	k := &keepingEncoder{Encoder: NewEncoder(w, req, opt), req: req, keeper: keeper, at: opt.Created}
	k.copied.header = http.Header{}
	// The same options, so id and time are the same in both.
	k.whole = newBody(&k.copied, req, opt)
	return k
}

// Accept implements Encoder. The headers that whole sets go nowhere.
func (k *keepingEncoder) Accept(a agent.Accepted) error {
	if err := k.whole.Accept(a); err != nil {
		return err
	}
	return k.Encoder.Accept(a)
}

// Event implements Encoder. At the end the completion is kept first.
func (k *keepingEncoder) Event(e *agent.Event) error {
	// The copy comes first: Event must keep nothing of e, and the Encoder may flush and find that
	// the client has left.
	if err := k.whole.Event(e); err != nil {
		return err
	}
	if e.Kind == agent.DoneKind {
		k.keeper.Keep(k.req.Caller.Owner, &Completion{
			ID: k.whole.header.id, Created: k.at, Object: k.object(), Messages: listMessages(k.whole.header.id, k.req.sent),
		})
	}
	return k.Encoder.Event(e)
}

// Rewind implements agent.Rewinder. What the client has got decides.
func (k *keepingEncoder) Rewind() bool { return agent.Rewind(k.Encoder) && k.whole.Rewind() }

// object is the whole answer with the request's metadata, which the answer itself doesn't repeat. The
// body of the whole answer ends in "}" and a line break, in the place of which the metadata goes.
func (k *keepingEncoder) object() []byte {
	doc := jsontext.Value(k.copied.body)
	// It is at least an object with members, so a comma may follow.
	end := len(doc) - len("}\n")
	// The capacity is cut, so that the bytes of the copied answer are not overwritten.
	doc = append(doc[:end:end], `,"metadata":`...)
	doc = append(doc, openai.Encode(k.req.metadata)...)
	return append(doc, '}')
}

// A listedMessage is a message of a kept completion in the form of the API's list. Members that
// a message doesn't have are left out, but content and refusal, which are null then.
//
// The order of the members is that of OpenAI's examples.
type listedMessage struct {
	// ID is unique in the list; pages go on from it.
	ID           string          `json:"id"`
	Role         string          `json:"role"`
	Content      *string         `json:"content"`
	ContentParts []any           `json:"content_parts,omitempty"`
	Refusal      *string         `json:"refusal"`
	Name         string          `json:"name,omitzero"`
	ToolCalls    []listedCall    `json:"tool_calls,omitempty"`
	FunctionCall *listedFunction `json:"function_call,omitempty"`
	ToolCallID   string          `json:"tool_call_id,omitzero"`
}

type (
	// A listedCall has one of Function and Custom, as Type says.
	listedCall struct {
		ID       string          `json:"id"`
		Type     string          `json:"type"`
		Function *listedFunction `json:"function,omitempty"`
		Custom   *wireCustomCall `json:"custom,omitempty"`
	}
	// A listedFunction has its arguments as the text that the client sent.
	listedFunction struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	// listedText and listedImage are parts of a message that is not one text alone.
	listedText struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	listedImage struct {
		Type     string       `json:"type"`
		ImageURL wireImageURL `json:"image_url"`
	}
)

// listMessages brings messages into the form of the list. Their ids derive from the
// completion's. They are made at the end of the turn, and only for an answer that is kept. The
// number in an id counts from 0.
func listMessages(id string, sent []wireMessage) []jsontext.Value {
	list := make([]jsontext.Value, len(sent))
	for i := range sent {
		list[i] = openai.Encode(sent[i].listed(id + "-" + strconv.Itoa(i)))
	}
	return list
}

// listed is the message in the form of the list. A plain text is in content, a list of parts in
// content_parts. A content of null gives neither.
func (w *wireMessage) listed(id string) listedMessage {
	m := listedMessage{ID: id, Role: w.Role, Name: w.Name, ToolCallID: w.ToolCallID}
	if w.Refusal != "" {
		m.Refusal = &w.Refusal
	}
	if w.Content.Kind == '"' {
		m.Content = &w.Content.String
	}
	for i := range w.Content.Other {
		switch p := &w.Content.Other[i]; p.Type {
		case "image_url", "input_image":
			url := p.ImageURL.Other
			if p.ImageURL.Kind == '"' {
				url.URL = p.ImageURL.String
			}
			m.ContentParts = append(m.ContentParts, listedImage{"image_url", url})
		case "file", "input_file": // the list has texts and images only
			f := &p.FileInput
			if p.File != nil {
				f = p.File
			}
			m.ContentParts = append(m.ContentParts, listedText{"text", "[file " + f.Filename + "]"})
		case "refusal":
			m.ContentParts = append(m.ContentParts, listedText{"text", p.Refusal})
		default:
			m.ContentParts = append(m.ContentParts, listedText{"text", p.Text})
		}
	}
	for i := range w.ToolCalls {
		m.ToolCalls = append(m.ToolCalls, w.ToolCalls[i].listed())
	}
	if f := w.FunctionCall; f != nil {
		m.FunctionCall = &listedFunction{f.Name, string(f.arguments())}
	}
	return m
}

// listed is the call in the form of the list, with its type.
func (w *wireCall) listed() listedCall {
	if w.Custom != nil && w.Type != "function" {
		return listedCall{ID: w.ID, Type: "custom", Custom: w.Custom}
	}
	c := listedCall{ID: w.ID, Type: "function", Function: &listedFunction{}}
	if w.Function != nil {
		c.Function = &listedFunction{w.Function.Name, string(w.Function.arguments())}
	}
	return c
}
