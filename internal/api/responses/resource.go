package responses

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// What the API lists as an item (an "item resource") is narrower than what it takes as input: every item has an id and
// most a status, parts have all their members, and nothing is listed that OpenAI has no name for. So what a client sent
// is kept as it was ([EncodeItems]), because it must mean later what it meant at first, and is brought into the form of
// a list when a list is asked for.

// A Lister brings items into the form in which the API lists them. It is for one list and one
// goroutine: it remembers the ids that were listed, which must be unique in a list. The zero
// value shows neither images nor sealed reasoning.
type Lister struct {
	images    bool           // show the addresses of images, which may hold the images themselves
	reasoning bool           // show sealed reasoning
	seen      map[string]int // ids so far, and how many items wanted each
}

// NewLister makes a Lister that shows what include asks for. include was checked before, by
// CheckInclude; what it has besides is of no interest to a list.
func NewLister(include []string) *Lister {
	return &Lister{images: slices.Contains(include, includeImages), reasoning: slices.Contains(include, includeReasoning)}
}

// Everything makes a Lister that leaves out nothing.
func Everything() *Lister { return &Lister{images: true, reasoning: true} }

// A Listed item is an item as the API lists it, and its id, which is unique in its list.
type Listed struct {
	// ID is also in Item.
	ID   string
	Item jsontext.Value
}

// List brings items into the form of a list. All of them must have an id, as stored items do.
// Items that mean something for a request alone are left out. It may be called several times
// for one list. Errors are *agent.Error, and our own fault. The result has the order of items.
func (l *Lister) List(items []Item) ([]Listed, error) {
	// The zero Lister is usable, and its map is made with the first list.
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	list := make([]Listed, 0, len(items))
	for i := range items {
		it := &items[i]
		// Also for an item that is left out then, so that the ids of the others don't depend on that.
		head := resourceHead{ID: l.unique(it.wire.ID), Type: it.wire.Type}
		v, err := l.resource(head, it)
		if err != nil {
			return nil, &agent.Error{Code: agent.Internal, Err: err}
		}
		if v != nil {
			list = append(list, Listed{head.ID, openai.Encode(v)})
		}
	}
	return list, nil
}

// unique is id, or, when an item before has it (clients may send an item twice), one like it.
//
// Two items in one list with the same id would make pages by id (after, before) skip items.
func (l *Lister) unique(id string) string {
	free := id
	// The map holds for an id how many numbers were given out behind it, so a thousand copies of
	// one item cost a thousand look-ups and not half a million.
	for n := l.seen[id]; l.seen[free] > 0; n++ {
		l.seen[id] = n + 1 // so that the next one needn't try again what is taken
		free = id + "_" + strconv.Itoa(n)
	}
	l.seen[free]++
	return free
}

// The forms of items in a list. resourceHead is embedded first, so that id and type come first
// in the JSON. Members that the API always has are written also when they are null or empty;
// those that depend on the item's type are left out.
type (
	resourceHead struct {
		// What every listed item begins with.
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	// The order of members is that of the published examples; clients don't depend on it, people
	// who compare do.
	messageResource struct {
		resourceHead
		Status  Status `json:"status"`
		Role    string `json:"role"`
		Content []any  `json:"content"`
		Phase   string `json:"phase,omitzero"`
	}
	callResource struct {
		resourceHead
		Status    Status  `json:"status"`
		CallID    string  `json:"call_id"`
		Name      string  `json:"name"`
		Namespace string  `json:"namespace,omitzero"`
		Arguments *string `json:"arguments,omitzero"` // function_call
		Input     *string `json:"input,omitzero"`     // custom_tool_call
	}
	outputResource struct {
		resourceHead
		Status Status `json:"status"`
		CallID string `json:"call_id"`
		Output any    `json:"output"` // a string, or a list of parts
	}
	toolSearchResource struct {
		resourceHead
		Status    Status           `json:"status"`
		CallID    *string          `json:"call_id"`
		Execution string           `json:"execution"`
		Arguments jsontext.Value   `json:"arguments,omitzero"` // tool_search_call
		Tools     []jsontext.Value `json:"tools,omitzero"`     // tool_search_output
	}
	toolsResource struct {
		resourceHead
		Role  string           `json:"role"`
		Tools []jsontext.Value `json:"tools"`
	}
	reasoningResource struct {
		resourceHead
		Status  Status     `json:"status"`
		Summary []textForm `json:"summary"`
		Content []textForm `json:"content,omitzero"`
		// Sealed is there only if the query's include asks for it.
		Sealed string `json:"encrypted_content,omitzero"`
	}
	compactionResource struct {
		resourceHead
		Sealed string `json:"encrypted_content"`
	}

	// textForm is a part that is text and nothing else.
	textForm struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	refusalForm struct {
		Type    string `json:"type"`
		Refusal string `json:"refusal"`
	}
	fileForm struct {
		Type string `json:"type"`
		openai.FileInput
	}
	imageForm struct {
		Type     string  `json:"type"`
		ImageURL *string `json:"image_url"`
		FileID   *string `json:"file_id"`
		Detail   string  `json:"detail"`
	}
)

// further are members of items and parts that matter in a list only. They are of any type: a
// request whose phase is no string means the same as one without. They are read from the item's
// own JSON when a list is asked for: nothing else needs them.
// Summary is the exception: it has a type of its own, which takes anything (see content).
type further struct {
	Phase       jsontext.Value `json:"phase"`
	Execution   jsontext.Value `json:"execution"`
	Summary     content        `json:"summary"`
	Detail      jsontext.Value `json:"detail"`
	Annotations jsontext.Value `json:"annotations"`
}

// furtherOf reads the further members of an item or a part; none when raw is nil.
func furtherOf(raw jsontext.Value) (f further) {
	if raw != nil {
		// It was decoded before, so that it is an object; and nothing in further has a type that it could lack.
		_ = openai.DecodeOwn(raw, &f)
	}
	return f
}

// passed are the types that OpenAI's own tools and other servers' have. Their items are listed
// as they were sent. Source: the item types of OpenAI's published document.
var passed = map[string]bool{
	"file_search_call": true, "web_search_call": true, "image_generation_call": true, "code_interpreter_call": true,
	"computer_call": true, "computer_call_output": true, "local_shell_call": true, "local_shell_call_output": true,
	"mcp_list_tools": true, "mcp_approval_request": true, "mcp_approval_response": true, "mcp_call": true,
	"program": true, "program_output": true,
}

// hostedTools are the types of tools that OpenAI runs on its side.
// It is used for the log alone: a tool of these types is dropped from a request, and the log may
// say which it was.
var hostedTools = map[string]bool{
	"web_search": true, "web_search_preview": true, "web_search_2025_08_26": true, "web_search_preview_2025_03_11": true,
	"file_search": true, "code_interpreter": true, "image_generation": true, "computer": true, "computer_use_preview": true,
	"mcp": true, "local_shell": true, "shell": true, "tool_search": true, "programmatic_tool_calling": true,
}

// Published reports whether OpenAI has published a type of items or tools of this name, so that
// the name says nothing about a client. The log may name it then; a name that isn't published
// may be a client's secret or content.
func Published(name string) bool {
	_, ours := itemTypes[name]
	return ours || passed[name] || hostedTools[name]
}

// resource is the item in the form of a list; nil when it has no place there.
//
//	an item of                        is listed as
//	a type that we know               that type, with all its members
//	a local tool                      localResource
//	another published type (passed)   it was sent, with a unique id
//	a type that nobody has published  a message with its text (foreign)
//	the trigger of a compaction       nothing
func (l *Lister) resource(head resourceHead, it *Item) (any, error) {
	w := &it.wire
	f := furtherOf(it.raw)
	status := statusOf(w.Status)
	switch w.Type {
	case messageType:
		return l.message(head, it, textOf(f.Phase)), nil
	case "function_call":
		text := textOf(w.Arguments)
		return callResource{head, status, w.CallID, w.Name, w.Namespace, &text, nil}, nil
	case "custom_tool_call":
		text := textOf(w.Input)
		return callResource{head, status, w.CallID, w.Name, w.Namespace, nil, &text}, nil
	case "function_call_output", "custom_tool_call_output":
		return outputResource{head, status, w.CallID, l.output(w.Output)}, nil
	// Arguments may be missing in what a client sends back, and the published type wants an object.
	case "tool_search_call":
		arguments := w.Arguments
		if len(arguments) == 0 {
			arguments = jsontext.Value("{}")
		}
		return toolSearchResource{head, status, orNull(w.CallID), execution(textOf(f.Execution)), arguments, nil}, nil
	case "tool_search_output":
		return toolSearchResource{head, status, orNull(w.CallID), execution(textOf(f.Execution)), nil, echoTools(w.Tools)}, nil
	case "additional_tools":
		return toolsResource{head, cmp.Or(w.Role, "developer"), echoTools(w.Tools)}, nil
	case "reasoning":
		r := reasoningResource{resourceHead: head, Status: status, Summary: texts("summary_text", f.Summary), Content: texts("reasoning_text", w.Content)}
		if l.reasoning {
			r.Sealed = w.EncryptedContent
		}
		return r, nil
	case compactionType:
		return compactionResource{head, w.EncryptedContent}, nil
	case triggerType:
		return nil, nil
	case "input_text", "input_image", "input_file": // a part without its message
		var p wirePart
		if err := openai.DecodeOwn(it.raw, &p); err != nil {
			return nil, err
		}
		head.Type = messageType
		return messageResource{resourceHead: head, Status: Completed, Role: "user", Content: l.inputParts(content{p})}, nil
	}
	if local := localResource(head, it); local != nil {
		return local, nil
	}
	if passed[w.Type] {
		// All members but the id, in their order; the id comes first, and is unique.
		rest, err := members(it.raw, []member{{name: "id"}})
		return object(append([]member{{"id", openai.Encode(head.ID)}}, rest...)), err
	}
	return foreign(head, it), nil
}

// foreign lists an item of a type that nobody has published as what the model got for it: its text, in a message of the model
// or, for a result, of the user. OpenAI's SDKs fail on types that they don't know.
func foreign(head resourceHead, it *Item) messageResource {
	head.Type = messageType
	m := messageResource{resourceHead: head, Status: Completed, Role: "assistant", Content: []any{outputText{Type: "output_text", Text: it.text()}}}
	if isResult(it.wire.Type) {
		m.Role, m.Content = "user", []any{textForm{"input_text", it.text()}}
	}
	return m
}

// message lists a message. One of the assistant has the form of an answer. Parts that an answer
// can't have are left out. An unknown phase is left out, too.
func (l *Lister) message(head resourceHead, it *Item, phase string) messageResource {
	m := messageResource{resourceHead: head, Status: statusOf(it.wire.Status), Role: cmp.Or(it.wire.Role, "user")}
	if m.Role != "assistant" {
		m.Content = l.inputParts(it.wire.Content)
		return m
	}
	if phase == "commentary" || phase == "final_answer" {
		m.Phase = phase
	}
	for i := range it.wire.Content {
		switch p := &it.wire.Content[i]; p.Type {
		case "refusal":
			m.Content = append(m.Content, refusalForm{"refusal", p.Refusal})
		// The names without "input_" are those of chat completions, which clients send here as
		// well.
		case "input_image", "image_url", "input_file", "file": // no answer has such parts
		default:
			m.Content = append(m.Content, outputText{Type: "output_text", Text: p.Text, Annotations: annotations(p.raw)})
		}
	}
	return m
}

// annotations are those of a part of an answer. Anything but an array counts as none.
func annotations(part jsontext.Value) []jsontext.Value {
	var list []jsontext.Value
	if sent := furtherOf(part).Annotations; sent.Kind() == '[' {
		_ = openai.DecodeOwn(sent, &list) // any array will do
	}
	return list
}

// inputParts lists parts of what isn't an answer. A refusal, which only answers have, becomes a
// text. The result is never nil: the list is always in the JSON.
func (l *Lister) inputParts(c content) []any {
	parts := make([]any, 0, len(c))
	for i := range c {
		switch p := &c[i]; p.Type {
		case "input_image", "image_url":
			parts = append(parts, l.image(p))
		case "input_file", "file":
			parts = append(parts, fileForm{"input_file", p.FileInput})
		case "refusal":
			parts = append(parts, textForm{"input_text", p.Refusal})
		default:
			parts = append(parts, textForm{"input_text", p.Text})
		}
	}
	return parts
}

// details are the values of an image's detail.
var details = []string{"low", "high", "auto", "original"}

// image lists an image. Its address is null unless include asks for it: it may be a data URL of
// megabytes. A detail that isn't one of details becomes "auto".
func (l *Lister) image(p *wirePart) imageForm {
	form := imageForm{Type: "input_image", FileID: orNull(p.FileID), Detail: "auto"}
	if detail := textOf(furtherOf(p.raw).Detail); slices.Contains(details, detail) {
		form.Detail = detail
	}
	if l.images {
		form.ImageURL = orNull(cmp.Or(p.ImageURL.String, p.ImageURL.Other.URL))
	}
	return form
}

// output lists the result of a call: as a text when it came as one. No parts are the empty text.
func (l *Lister) output(c content) any {
	switch {
	case len(c) == 0:
		return ""
	// One part without JSON of its own is how content holds a plain string.
	case len(c) == 1 && c[0].raw == nil && c[0].Type == "":
		return c[0].Text
	}
	return l.inputParts(c)
}

// texts are parts as texts of one type. The result is nil for no parts, which is written as []
// or left out, as the member says.
func texts(kind string, parts []wirePart) []textForm {
	var list []textForm
	for i := range parts {
		list = append(list, textForm{kind, parts[i].Text})
	}
	return list
}

// statusOf is the status that a client gave an item, if it is one, else completed. A status
// that nobody has published is completed, too.
func statusOf(sent string) Status {
	if s := Status(sent); s == InProgress || s == Incomplete {
		return s
	}
	return Completed
}

// execution says who carries out a search for tools. Everything but "server" is the client.
func execution(sent string) string {
	if sent == "server" {
		return sent
	}
	return "client"
}

// echoTools are tools as a list shows them. It is never nil.
func echoTools(tools []wireTool) []jsontext.Value {
	list := make([]jsontext.Value, 0, len(tools))
	for i := range tools {
		list = append(list, tools[i].echo())
	}
	return list
}

// orNull is s, or null when it is empty.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
