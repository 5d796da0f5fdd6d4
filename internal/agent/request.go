package agent

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// A request in the form that all surfaces decode to and all backends understand. Who sets what:
//
//	a surface     ModelName, Messages, Tools, ToolChoice, Format and the limits; Echo, RewritesCalls, Durable
//	api.Call      Caller, Origin, Upstream and what the headers ask for (Session, MaxCostUSD)
//	the gateway   Model, ConversationID, NativeSystem, Continue and New

// A Request is one turn as the client asked for it, whatever surface it came through.
type Request struct {
	// Caller is who asks. Surfaces leave it; httpd fills it in.
	Caller Caller
	// Origin is the HTTP request that the turn came with, for the request log.
	Origin Origin
	// Watcher, when not nil, is told of further attempts. It may be told from any goroutine, and as long as the run lives.
	Watcher Watcher
	// Upstream is the name of the backend that the route asks for; "" is the configured default.
	Upstream string
	// ModelName is the model as the client named it; the catalog turns it into Model.
	ModelName string
	// Model is what upstream is asked for. The gateway fills it in; a backend reads only this.
	Model Model

	// Messages is the whole conversation as the client tells it, oldest first, never empty. The roles
	// may come in any order; the surfaces have checked that each tool message answers a call that an
	// earlier message made.
	Messages []Message
	// Tools are in the client's order, no two of one name.
	Tools []Tool
	// ToolChoice says which of Tools the model may or must call.
	ToolChoice ToolChoice
	// SerialToolCalls asks for one call at a time (parallel_tool_calls: false).
	SerialToolCalls bool
	// Format is the form that the answer's text must have.
	Format Format
	// MaxOutputTokens cuts the answer; 0 is no limit.
	MaxOutputTokens int
	// Stop cuts the answer before the first of these texts; none is empty.
	Stop []string
	// MaxCostUSD is what the conversation may cost, in US dollars; 0 is no limit of the client's.
	MaxCostUSD float64
	// Effort is the reasoning effort as the client named it; "" is the model's own default.
	Effort string

	// Session is the client's name for this conversation, from a session header; "" when it sent none. It narrows
	// the look-up of conversation memory and gives the conversation a stable id. It never widens anything.
	Session string
	// SharedSession says that Session names a user rather than one conversation: what one conversation does says
	// nothing of another that opens alike.
	SharedSession bool
	// PinSession asks that the conversations of Session keep one upstream id, across restarts and replicas: of that,
	// hashes and the id are written to disk, and nothing else.
	PinSession bool
	// ConversationID, when set, is the id to open a fresh conversation under. The gateway fills it in.
	ConversationID string
	// RewritesCalls says that the client may have other arguments in the calls that it sends back than it was given: it
	// ran them so. A run that waits for such calls is known by their ids then, and is told of the arguments.
	RewritesCalls bool
	// Echo is the arguments of a call as the client will send them back, when the surface gives it something else than
	// the model wrote: the bare text of a custom tool. They are what a transcript is compared by. Nil is as written.
	Echo func(*ToolCall) json.RawMessage
	// Durable allows what the turn leaves behind to be written to disk (a Responses request with store: true).
	Durable bool

	// NativeSystem asks a [SystemPrompter] to give upstream the system text in its own place for it, where it replaces the
	// prompt of Cursor's harness. A conversation that is continued keeps to the way in which it began. The gateway fills it in.
	NativeSystem bool

	// Continue, when not nil, is the upstream conversation that already holds Messages[:New]; only Messages[New:]
	// are sent. The gateway fills both in.
	Continue Conversation
	New      int
	// Retried says that this turn has met a final error before, so that retries were made: one attempt is enough. The gateway
	// fills it in.
	Retried bool
}

// A Caller is who a request is for.
type Caller struct {
	// Owner names the tenant in every look-up: a hash of the Cursor key, or the account of a hosted key. What
	// belongs to one owner does not exist for another.
	Owner string
	// CursorKey is the Cursor API key to use upstream.
	CursorKey Secret
	// KeyID names the hosted key that was sent, for request logs; "" when the caller brought a Cursor key.
	KeyID string
	// Limited says that the hosted key has limits, which each turn is held against.
	Limited bool
}

// An Origin names the HTTP request that a turn came with. It holds nothing of its content.
type Origin struct {
	// RequestID is the id of the request, as the x-request-id header shows it.
	RequestID string
	// Endpoint is the route: "POST /v1/chat/completions".
	Endpoint string
	// Received is when the request's header had been read; zero where nobody knows.
	Received time.Time
	// Trace is the span in whose course the turn is carried out: the request's, and from the turn's beginning the turn's own.
	// It is sent along to our own servers, and not to Cursor.
	Trace Trace
}

// A Trace names a span of a distributed trace in the words of W3C's headers; zero is none.
type Trace struct {
	Parent string // traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	State  string // tracestate, which may be ""
}

// Sampled is the id of the trace, if its spans are kept, and "" otherwise. Source: W3C Trace Context: version, id, span and
// flags, of which the last bit says "sampled".
func (t Trace) Sampled() string {
	parts := strings.Split(t.Parent, "-")
	if len(parts) < 4 || parts[3] != "01" {
		return ""
	}
	return parts[1]
}

// SetHeaders puts the trace into the headers of a request that is sent along, in place of what they say of another. Zero changes
// nothing. h is an http.Header.
func (t Trace) SetHeaders(h interface {
	Set(key, value string)
	Del(key string)
}) {
	if t.Parent == "" {
		return
	}
	h.Set("Traceparent", t.Parent)
	h.Del("Tracestate")
	if t.State != "" {
		h.Set("Tracestate", t.State)
	}
}

// A Watcher is told of what a turn took besides its first attempt. Its methods may be called concurrently.
type Watcher interface {
	// Retrying is told of each further attempt at upstream, after one that has failed.
	Retrying()
	// Repairing is told of each further attempt of the model, after an answer that was not what the request asks for.
	Repairing(Repair)
}

// Surfaces are the names of the surfaces that take turns, as limits and metrics know them.
var Surfaces = []string{"chat", "completions", "responses", "messages"}

// Surface is the surface of the route: "chat" for "POST /u/{account}/v1/chat/completions", and "" for one that is none of
// [Surfaces].
func (o *Origin) Surface() string {
	_, path, _ := strings.Cut(o.Endpoint, "/v1/")
	name, _, _ := strings.Cut(path, "/")
	if slices.Contains(Surfaces, name) {
		return name
	}
	return ""
}

// A Secret is a string that doesn't print: not with fmt, not in JSON, not in a log. Reveal
// gives it to the one place that needs it. It is a value that may be copied and compared.
type Secret struct{ value string }

// NewSecret hides value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the hidden string, for an Authorization header and the like.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == "" }

// redacted is what a Secret prints as, whatever the verb.
const redacted = "[redacted]"

// String implements fmt.Stringer without the secret.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer without the secret.
func (s Secret) GoString() string { return redacted }

// LogValue implements slog.LogValuer without the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler without the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A Model is what upstream is asked for.
type Model struct {
	ID     string  // upstream's id, "composer-2.5"
	Params []Param // such as fast=false; always explicit, because upstream's default is the expensive one
	// MaxMode is set for a choice of parameters that upstream offers in its max mode only. It isn't part of String.
	MaxMode bool
	// Name is the catalogue's name of the model, "composer-2.5-fast", by whatever alias the client has asked for it. It
	// isn't part of String, and "" where no catalogue was asked.
	Name string
}

// Ran is what an answer calls the model: what ran, and not the alias that the client asked for.
func (m Model) Ran() string { return cmp.Or(m.Name, m.ID) }

// A Param is one parameter of a model.
type Param struct{ ID, Value string }

// String is the form of the x-composer-model header: "composer-2.5;fast=false".
func (m Model) String() string {
	var b strings.Builder
	b.WriteString(m.ID)
	for _, p := range m.Params {
		b.WriteString(";" + p.ID + "=" + p.Value)
	}
	return b.String()
}

// Role says who speaks.
type Role uint8

// The roles. OpenAI's developer is System, and its function is ToolRole.
const (
	System Role = iota + 1
	User
	Assistant
	ToolRole
)

// A Message is one entry of a conversation. Copies share its slices, which must not be changed:
// a transcript may be remembered.
type Message struct {
	// Role says which of the other fields may be set.
	Role  Role
	Parts []Part // text, images and files, in order; may be empty
	Name  string // the speaker's name, if the client gave one

	Calls  []ToolCall // Assistant: the calls it made
	CallID string     // ToolRole: the call that Parts answers
	// IsError is set on a ToolRole message when the client says that the tool failed.
	IsError bool
}

// Text is the message's text parts, joined. Nothing stands between them. Images and files count as no text.
func (m *Message) Text() string {
	if len(m.Parts) == 1 {
		return m.Parts[0].Text
	}
	var b strings.Builder
	for _, p := range m.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// A Part is a piece of a message: an image when Image is not nil, a file when File is not nil,
// else text. Backends see no files. At most one of Image and File is set.
type Part struct {
	// Text may be empty.
	Text  string
	Image *Image
	File  *File
}

// A Tool is something that the client can run.
type Tool struct {
	// Name is as the client spells it; upstream and the model may see it in another spelling.
	Name        string
	Description string
	// Parameters is the JSON Schema of the arguments, an object; nil means that any object will do.
	Parameters json.RawMessage
	// Strict asks for arguments that fit Parameters exactly.
	Strict bool
}

// A ToolChoice says which tools the model may or must call. Its zero value lets the model choose.
type ToolChoice struct {
	// Mode says whether a call may, must or must not come.
	Mode  ToolMode
	Names []string // allowed or required tools; empty means all of them
}

// ToolMode is the kind of a ToolChoice.
type ToolMode uint8

// The modes.
const (
	ToolsAuto     ToolMode = iota // may call any of Names
	ToolsNone                     // must not call
	ToolsRequired                 // must call one of Names
)

// Size is about how many bytes the request keeps in memory. It is for bounds on memory, so that
// what is small and bounded, such as names, isn't counted.
func (r *Request) Size() int {
	size := len(r.Format.Schema)
	for i := range r.Messages {
		m := &r.Messages[i]
		size += PartsSize(m.Parts)
		for _, c := range m.Calls {
			size += len(c.Arguments)
		}
	}
	for i := range r.Tools {
		size += len(r.Tools[i].Description) + len(r.Tools[i].Parameters)
	}
	return size
}

// PartsSize is about how many bytes the parts keep in memory.
func PartsSize(parts []Part) int {
	size := 0
	for _, p := range parts {
		size += len(p.Text)
		if p.Image != nil {
			size += len(p.Image.Data) + len(p.Image.URL)
		}
		if p.File != nil {
			size += len(p.File.Data)
		}
	}
	return size
}

// SystemText is what the conversation's system messages say, wherever they stand; "" when there are none.
func (r *Request) SystemText() string {
	var texts []string
	for i := range r.Messages {
		if m := &r.Messages[i]; m.Role == System {
			texts = append(texts, m.NamePrefix()+m.Text())
		}
	}
	return strings.Join(texts, "\n")
}

// NamePrefix is what stands before the text of a system message that has a name, because all system text is one. Clients write
// examples of a dialogue so, with messages of the system that are called example_user and example_assistant.
func (m *Message) NamePrefix() string {
	if m.Name == "" {
		return ""
	}
	return m.Name + ": "
}

// Offered returns the tools that the model is shown: those of Tools that ToolChoice allows. The
// order is that of Tools. The result may be Tools itself, and must not be changed.
func (r *Request) Offered() []Tool {
	switch {
	case r.ToolChoice.Mode == ToolsNone:
		return nil
	case len(r.ToolChoice.Names) == 0:
		return r.Tools
	}
	allowed := make(map[string]bool, len(r.ToolChoice.Names))
	for _, name := range r.ToolChoice.Names {
		allowed[name] = true
	}
	var offered []Tool
	for _, t := range r.Tools {
		if allowed[t.Name] {
			offered = append(offered, t)
		}
	}
	return offered
}

// FirstNew is the index of the first message that is new since the model's last answer: the one after the last message
// that is the model's or a tool's result. It is 0 when the conversation begins with this request, and len(messages)
// when it ends with an answer or with results.
func FirstNew(messages []Message) int {
	for i := len(messages) - 1; i >= 0; i-- {
		if r := messages[i].Role; r == Assistant || r == ToolRole {
			return i + 1
		}
	}
	return 0
}
