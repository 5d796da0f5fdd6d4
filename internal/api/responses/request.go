package responses

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
)

// A request to create a response: what is decoded, and what is checked. What the response
// repeats of it is in echo.go. The conversation in it is made in items.go and transcript.go; what the service
// looks up is named by PreviousResponseID and ConversationID, and by references in Input.

// A Request is a decoded request. The fields are what the service must know to carry it out; what is for the model alone is
// reached through [Request.Turn]. A Request belongs to one goroutine.
//
// The life of one: Decode; the service replaces references and finds the stored items; Turn
// makes the agent.Request of both; echo is the response's beginning.
type Request struct {
	// Model is the name as the client sent it; "" for the server's default.
	Model string
	// Input is what this request adds to the conversation. References in it ([Item.Reference]) stand
	// for items of stored responses and must be replaced before Turn.
	Input []Item
	// PreviousResponseID names the stored response that this one continues; "" when none.
	PreviousResponseID string
	// ConversationID names the conversation that this one belongs to; "" when none. Only one of the two is set.
	ConversationID string
	// Stream asks for events, Background for an answer that goes on without the client. Both may be set.
	Stream     bool
	Store      bool // keep the response; true unless the client says otherwise
	Background bool
	// Compact asks for a summary of the conversation instead of an answer: a compaction_trigger is in the input, or
	// the caller has set it.
	Compact bool

	// The request as it was sent. The response repeats most of it, see echo.
	body body
	// tools are those of the request and of its input, as the model is offered them.
	tools toolSet
	// format is what the answer must look like; zero is free text.
	format    agent.Format
	maxTokens int // 0 is no limit
	// encryptedReasoning says that the client wants its thinking sealed in each response, to send it back.
	encryptedReasoning bool
}

// body is the request on the wire. Members that aren't named here are ignored: clients send members that are newer than
// this code, and most change nothing about the answer. Those that would are refused, see refuse.
//
// A small one, and what Codex sends after its first turn:
//
//	{"model": "composer-1", "input": "hi"}
//	{"model": "composer-1", "previous_response_id": "resp_…", "store": false, "stream": true, "tools": […],
//	 "include": ["reasoning.encrypted_content"],
//	 "input": [{"type": "function_call_output", "call_id": "call_…", "output": "…"}]}
//
// A field that has no effect is here when the response repeats it, or when its type is to be checked.
type body struct {
	Model              string                          `json:"model"`
	Input              openai.StringOr[[]Item]         `json:"input"`
	Instructions       openai.StringOr[[]Item]         `json:"instructions"` // our own answers may have a list there
	PreviousResponseID *string                         `json:"previous_response_id"`
	Store              *bool                           `json:"store"`
	Stream             bool                            `json:"stream"`
	Background         bool                            `json:"background"`
	Tools              []wireTool                      `json:"tools"`
	ToolChoice         openai.StringOr[wireToolChoice] `json:"tool_choice"`
	ParallelToolCalls  *bool                           `json:"parallel_tool_calls"`
	Text               textSettings                    `json:"text"`
	Reasoning          reasoning                       `json:"reasoning"`
	Include            []string                        `json:"include"`
	MaxOutputTokens    *openai.Int                     `json:"max_output_tokens"`
	MaxToolCalls       *openai.Int                     `json:"max_tool_calls"`
	Conversation       openai.StringOr[conversation]   `json:"conversation"`
	Prompt             jsontext.Value                  `json:"prompt"`
	Moderation         openai.Object                   `json:"moderation"`
	Truncation         *string                         `json:"truncation"`
	ServiceTier        *string                         `json:"service_tier"`
	Metadata           openai.Metadata                 `json:"metadata"`
	SafetyIdentifier   *string                         `json:"safety_identifier"`
	PromptCacheKey     *string                         `json:"prompt_cache_key"`
	openai.Sampling
	chatFields
}

// conversation is a conversation in its object form.
type conversation struct {
	ID string `json:"id"`
}

// reasoning is the request's reasoning field: {"effort": "high", "summary": "auto"}. A summary of null means none, and is
// not the same as no summary member.
type reasoning struct {
	// Effort is one of the names that a model has; the catalogue checks it.
	Effort  *string          `json:"effort"`
	Summary optional[string] `json:"summary"`
}

// textSettings are the request's text field:
//
//	{"format": {"type": "json_schema", "name": "…", "schema": {…}, "strict": true}, "verbosity": "low"}
type textSettings struct {
	// Format of null is free text. Verbosity has no effect and is repeated.
	Format    *textFormat `json:"format"`
	Verbosity *string     `json:"verbosity"`
}

// A textFormat is the form that the answer must have: text, json_object or json_schema. The members of a schema stand beside
// the type, where chat completions have them one level deeper.
type textFormat struct {
	Type string `json:"type"`
	openai.SchemaFormat
}

// Decode decodes the body of a request that creates a response. Errors are *agent.Error with the field's path as Param.
//
// Everything that can be wrong with the request itself is found here, before anything is looked
// up or started. Items of the input that sent has are not decoded again.
func Decode(data []byte, sent known.Sender) (*Request, error) {
	r, err := decode(data, sent)
	if err != nil {
		return nil, err
	}
	if r.Model == "" {
		return nil, openai.Missing("model")
	}
	if len(r.Input) == 0 && r.PreviousResponseID == "" && r.ConversationID == "" {
		return nil, openai.Missing("input")
	}
	return r, nil
}

// DecodePartial decodes the body of a request that counts or compacts a conversation. It is Decode, but no field is
// required; the caller checks what it needs.
func DecodePartial(data []byte, sent known.Sender) (*Request, error) { return decode(data, sent) }

// decode is what both have in common. The order of the steps decides which error a request with several mistakes gets.
//
// Items share the memory of the caller's data, for as long as the request lives.
func decode(data []byte, sent known.Sender) (*Request, error) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // so that spans count from the same byte as the decoder
	r := &Request{}
	err := known.Decode(sent, data, "input", func(data []byte) ([]Item, error) {
		r.body = body{}
		err := openai.Decode(data, &r.body)
		cut(r.body.Instructions.Other, data)
		cut(r.body.Input.Other, data)
		return r.body.Input.Other, err
	}, (*Item).own)
	if err != nil {
		return nil, err
	}
	steps := []func(*Request) error{
		(*Request).refuse, (*Request).checkRanges, (*Request).checkChoices, (*Request).takeFormat, (*Request).takeTools,
	}
	for _, step := range steps {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	r.takeInput()
	b := &r.body
	r.Model, r.Stream, r.Background = b.Model, b.Stream, b.Background
	r.Store = b.Store == nil || *b.Store
	if b.PreviousResponseID != nil {
		r.PreviousResponseID = *b.PreviousResponseID
	}
	if err := r.takeConversation(); err != nil {
		return nil, err
	}
	r.encryptedReasoning = slices.Contains(b.Include, includeReasoning)
	// A trigger anywhere in the input makes the whole request a compaction.
	for i := range r.Input {
		r.Compact = r.Compact || r.Input[i].wire.Type == triggerType
	}
	return r, nil
}

// refuse refuses fields that would silently give the caller something other than what was asked for: a prompt that is kept at
// OpenAI is not here, nothing is moderated, and parameters of chat completions have another place.
func (r *Request) refuse() error {
	b := &r.body
	if present(b.Prompt) {
		return agent.ParamError(agent.UnsupportedParameter, "prompt", "Prompt templates are not supported here. Send 'instructions' and 'input'.")
	}
	if b.Moderation != nil {
		return agent.ParamError(agent.UnsupportedParameter, "moderation", openai.NoModeration)
	}
	return b.refuseChatFields()
}

// takeConversation takes the conversation that the response belongs to. It may come as an id or
// as an object with one.
func (r *Request) takeConversation() error {
	sent := &r.body.Conversation
	switch {
	case sent.IsZero():
		return nil
	case r.PreviousResponseID != "":
		return agent.ParamError(agent.InvalidValue, "conversation", "'conversation' and 'previous_response_id' can't be used together. Send one of them.")
	}
	r.ConversationID = cmp.Or(sent.String, sent.Other.ID)
	if r.ConversationID == "" {
		return openai.Missing("conversation.id")
	}
	return nil
}

// checkRanges checks the numbers that the API bounds. Some of them, such as temperature, have no effect here, but a wrong
// one is still refused, so that a client finds its mistake here as it would at OpenAI.
func (r *Request) checkRanges() error {
	b := &r.body
	if err := b.Sampling.Check(); err != nil {
		return err
	}
	var err error
	if r.maxTokens, err = openai.MaxTokens("max_output_tokens", b.MaxOutputTokens); err != nil {
		return err
	}
	_, err = openai.MaxTokens("max_tool_calls", b.MaxToolCalls)
	return err
}

// The values that OpenAI publishes for fields with a choice. Of these fields a value that isn't
// there is a mistake. Source: OpenAI's published document.
var (
	truncations  = []string{"auto", "disabled"}
	verbosities  = []string{"low", "medium", "high"}
	summaries    = []string{"auto", "concise", "detailed"}
	serviceTiers = []string{"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"}
	includes     = []string{
		"file_search_call.results", "web_search_call.results", "web_search_call.action.sources", includeImages,
		"computer_call_output.output.image_url", "code_interpreter_call.outputs", includeReasoning, includeLogprobs,
	}
	// Clients know new efforts before we do, so an unknown one is no mistake: it goes to the model, and is shown as null.
	efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}
)

// What include may ask for, as far as it means something here.
const (
	includeReasoning = "reasoning.encrypted_content"
	includeImages    = "message.input_image.image_url"
	includeLogprobs  = "message.output_text.logprobs"
)

// maxIdentifier is the length of a safety_identifier that OpenAI allows.
const maxIdentifier = 64

// checkChoices checks the fields whose values OpenAI publishes.
//
// The first mistake in this order is the error.
func (r *Request) checkChoices() error {
	b := &r.body
	if err := CheckInclude(b.Include); err != nil {
		return err
	}
	if id := b.SafetyIdentifier; id != nil && utf8.RuneCountInString(*id) > maxIdentifier {
		return agent.ParamError(agent.InvalidValue, "safety_identifier", "'safety_identifier' is longer than %d characters. Send a hash of it.", maxIdentifier)
	}
	return cmp.Or(
		openai.OneOfOr("truncation", b.Truncation, truncations...),
		openai.OneOfOr("text.verbosity", b.Text.Verbosity, verbosities...),
		openai.OneOfOr("reasoning.summary", b.Reasoning.Summary.value, summaries...),
		openai.OneOfOr("service_tier", b.ServiceTier, serviceTiers...),
		b.Metadata.Check("metadata"),
	)
}

// CheckInclude checks what a request's include asks for. Log probabilities are refused, because upstream has none.
// Sealed reasoning and the addresses of images are shown when they are asked for; the other values ask for parts of items that
// never occur here.
func CheckInclude(include []string) error {
	for i, name := range include {
		param := "include[" + strconv.Itoa(i) + "]"
		if err := openai.OneOfOr(param, &name, includes...); err != nil {
			return err
		}
		if name == includeLogprobs {
			return openai.NoLogprobs(param)
		}
	}
	return nil
}

// takeTools adds the request's tools.
func (r *Request) takeTools() error {
	return r.tools.addAll(r.body.Tools, "tools")
}

// takeInput puts instructions that are a list before the input, and makes an item of input that
// is a string. Instructions are a list only where a client sends back what a response has shown.
func (r *Request) takeInput() {
	b := &r.body
	if b.Input.Kind == '"' {
		b.Input.Other = []Item{textItem(b.Input.String)}
	}
	r.Input = append(locate(b.Instructions.Other, "instructions"), locate(b.Input.Other, "input")...)
}

// Dropped are the types of the tools that were left out because OpenAI would run them on its side.
func (r *Request) Dropped() []string { return r.tools.dropped }

// takeFormat reads the form that the answer must have.
func (r *Request) takeFormat() (err error) {
	if f := r.body.Text.Format; f != nil {
		if f.Type == "json_schema" && f.Name == "" {
			return openai.Missing("text.format.name")
		}
		if tooDeep(jsontext.Value(f.Schema)) {
			return nestedTooDeeply("text.format.schema")
		}
		r.format, err = openai.Format(f.Type, "text.format", f.SchemaFormat, "text.format")
	}
	return err
}

// An optional value tells null from absence. The zero value is a member that was not sent.
type optional[T any] struct {
	value *T   // nil when null or absent
	sent  bool // the member was there, null or not
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (o *optional[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	o.sent = true
	return json.UnmarshalDecode(d, &o.value)
}

// noSummary reports whether the client has said that it wants no summary of the thinking. One that says nothing gets it.
func (r *Request) noSummary() bool {
	s := &r.body.Reasoning.Summary
	return s.sent && s.value == nil
}

// present reports whether an optional field was sent with a value.
func present(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != 'n' }

// maxDepth bounds how deeply values that we repeat may be nested. The JSON package accepts
// 10,000 levels, and a document of ours has a few more levels around what a client sent.
// Without it, a request that we accept could make a stored response that can't be read again.
const maxDepth = 500

// tooDeep reports whether a valid JSON value is nested more deeply than maxDepth. It counts
// brackets outside of strings, which is enough for valid JSON, and doesn't recurse, so no input
// is too deep for it. v must be valid: it was decoded before.
func tooDeep(v jsontext.Value) bool {
	depth, inString := 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// nestedTooDeeply is the error for a value over maxDepth.
func nestedTooDeeply(param string) error {
	return agent.ParamError(agent.InvalidValue, param, "'%s' is nested more than %d levels deep. Make it flatter.", param, maxDepth)
}
