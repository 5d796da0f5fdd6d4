package responses

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/api/openai"
)

// What a response object repeats of its request.

// echo is the response object before anything has happened: the request's fields, or their defaults. Tools that were
// dropped aren't repeated, so a client can see which are in use.
//
// The defaults are OpenAI's. The result shares memory with the request.
func (r *Request) echo() Response {
	// Everything that has no meaning here (temperature, top_p, penalties) is echoed all the same:
	// SDKs with typed models fail on a response that lacks a required member, and users look there
	// for what they have sent.
	b := &r.body
	resp := Response{
		Object: "response", Status: InProgress, Model: r.Model,
		PreviousResponseID: b.PreviousResponseID, Instructions: r.instructions(),
		// Published defaults; the set calls below put the client's values in their places.
		ToolChoice: jsontext.Value(`"auto"`), Truncation: "disabled",
		ParallelToolCalls: b.ParallelToolCalls == nil || *b.ParallelToolCalls,
		Text:              b.Text.echo(),
		TopP:              1, Temperature: 1,
		Reasoning:        b.Reasoning.echo(),
		MaxOutputTokens:  b.MaxOutputTokens,
		MaxToolCalls:     b.MaxToolCalls,
		Store:            r.Store,
		Background:       r.Background,
		ServiceTier:      "default", // whatever was asked for: there is but one
		Metadata:         b.Metadata,
		SafetyIdentifier: b.SafetyIdentifier,
		PromptCacheKey:   b.PromptCacheKey,
	}
	if r.ConversationID != "" {
		resp.Conversation = &Conversation{r.ConversationID}
	}
	for i := range b.Tools {
		// A namespace is kept whole: it is the client's own grouping of functions, and is listed as
		// it came.
		if t := &b.Tools[i]; t.ours() || t.Type == namespaceType {
			resp.Tools = append(resp.Tools, t.echo())
		}
	}
	// A choice is a word ("auto", "none", "required") or an object that names a tool.
	switch b.ToolChoice.Kind {
	case '"':
		resp.ToolChoice = openai.Encode(b.ToolChoice.String)
	case '{':
		resp.ToolChoice = b.ToolChoice.Other.raw
	}
	set(&resp.Truncation, b.Truncation)
	set(&resp.TopP, b.TopP)
	set(&resp.Temperature, b.Temperature)
	set(&resp.PresencePenalty, b.PresencePenalty)
	set(&resp.FrequencyPenalty, b.FrequencyPenalty)
	set(&resp.TopLogprobs, b.TopLogprobs)
	return resp
}

// instructions are the request's instructions if they are a string. They are nil for a list,
// which takeInput puts before the input.
func (r *Request) instructions() *string {
	if r.body.Instructions.Kind != '"' {
		return nil
	}
	return &r.body.Instructions.String
}

// set overwrites a default with the client's value, if there is one.
func set[T any](to *T, sent *T) {
	if sent != nil {
		*to = *sent
	}
}

// The forms of text.format as the response shows it.
type (
	textEcho struct {
		// Format is one of the form types below.
		Format    any     `json:"format"`
		Verbosity *string `json:"verbosity,omitzero"`
	}
	plainFormatEcho struct {
		Type string `json:"type"`
	}
	// The members without omitzero are required in the published type, also when they are empty.
	schemaFormatEcho struct {
		Type        string        `json:"type"`
		Name        string        `json:"name"`
		Description string        `json:"description,omitzero"`
		Schema      openai.Object `json:"schema"`
		Strict      bool          `json:"strict"`
	}
)

// echo is the text member of the response. A format that wasn't sent is shown as text, the default.
func (t *textSettings) echo() jsontext.Value {
	if t.Format == nil && t.Verbosity == nil { // as most requests
		return jsontext.Value(`{"format":{"type":"text"}}`)
	}
	e := textEcho{Format: plainFormatEcho{"text"}, Verbosity: t.Verbosity}
	switch f := t.Format; {
	case f == nil:
	case f.Type == "json_schema":
		e.Format = schemaFormatEcho{f.Type, f.Name, f.Description, f.Schema, f.Strict}
	default:
		e.Format = plainFormatEcho{f.Type}
	}
	return openai.Encode(e)
}

// echo is what the response shows of the settings.
func (r *reasoning) echo() ReasoningEcho {
	e := ReasoningEcho{Effort: r.Effort, Summary: r.Summary.value}
	// Some clients send efforts that OpenAI has not published. They are taken, but an SDK that
	// knows an enum fails when it reads one back.
	if e.Effort != nil && !slices.Contains(efforts, *e.Effort) {
		e.Effort = nil
	}
	return e
}
