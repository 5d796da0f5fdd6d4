package chat

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
)

// A Request is a decoded chat completion request: what the gateway gets, and what only the encoder must know. The encoder reads
// it while the turn runs, so it must not be changed then.
//
// The fields that are not exported are for the encoders and for keeping.
type Request struct {
	agent.Request
	// Stream asks for a stream, and IncludeUsage for a last chunk with its usage.
	Stream, IncludeUsage bool

	store    bool            // the answer is to be kept
	metadata openai.Metadata // when it is
	sent     []wireMessage   // when it is

	custom map[string]bool // the names of tools whose calls come back as custom calls
	legacy bool            // tools came as functions, and calls go back as function_call
}

// wireRequest is the request as it is sent. Fields that are named nowhere are ignored. The
// order is that of the specification's table. A field that is decoded and never read stands
// here so that its type is checked. It belongs to Decode; its messages live on when the answer
// is to be kept, see keep.
type wireRequest struct {
	// Model may be "" for the server's default.
	Model    string        `json:"model"`
	Messages []wireMessage `json:"messages"`

	Stream        bool `json:"stream"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`

	Tools             []wireTool                      `json:"tools"`
	ToolChoice        openai.StringOr[wireToolChoice] `json:"tool_choice"`
	ParallelToolCalls *bool                           `json:"parallel_tool_calls"`
	Functions         []wireFunction                  `json:"functions"`
	FunctionCall      openai.StringOr[wireNamed]      `json:"function_call"`

	ResponseFormat      *wireFormat               `json:"response_format"`
	MaxCompletionTokens *openai.Int               `json:"max_completion_tokens"`
	MaxTokens           *openai.Int               `json:"max_tokens"`
	Stop                openai.StringOr[[]string] `json:"stop"`
	ReasoningEffort     string                    `json:"reasoning_effort"`

	// What the models can't do: these are refused where they ask for something.
	N                *openai.Int               `json:"n"`
	Logprobs         bool                      `json:"logprobs"`
	Modalities       []string                  `json:"modalities"`
	Audio            openai.Object             `json:"audio"`
	WebSearchOptions map[string]jsontext.Value `json:"web_search_options"`
	Moderation       openai.Object             `json:"moderation"`

	Store    *bool         `json:"store"`
	Metadata openai.Object `json:"metadata"` // counts with store only; some clients send other things without

	openai.Sampling
	ignoredFields
	inputFields

	responsesShape bool     // the body came in the shape of the Responses API
	params         []string // then: the path of each of Messages in the request
}

// ignoredFields have no effect and can't change the form of the answer. Only their types are checked.
type ignoredFields struct {
	Seed                 *float64      `json:"seed"`
	LogitBias            openai.Object `json:"logit_bias"`
	Verbosity            string        `json:"verbosity"`
	Prediction           openai.Object `json:"prediction"`
	PromptCacheKey       string        `json:"prompt_cache_key"`
	PromptCacheRetention string        `json:"prompt_cache_retention"`
	SafetyIdentifier     string        `json:"safety_identifier"`
	User                 string        `json:"user"`
	ServiceTier          string        `json:"service_tier"`
}

// wireFormat is response_format: {"type": "json_schema", "json_schema": {"name": "…", "schema": {…}, "strict": true}}. Servers of open
// models take {"type": "json_object", "schema": {…}} for the same, and clients of theirs go on sending it.
type wireFormat struct {
	Type       string               `json:"type"`
	JSONSchema *openai.SchemaFormat `json:"json_schema"`
	Schema     openai.Object        `json:"schema"`
}

// Decode reads a request body. Errors are *agent.Error with the field's path as Param. The fields of
// agent.Request that the gateway and httpd fill in are empty; images with a URL are not fetched yet.
//
// Messages that sent has are not decoded again. The order of the steps decides which error a request with several mistakes gets.
func Decode(body []byte, sent known.Sender) (*Request, error) {
	var w wireRequest
	err := known.Decode(sent, body, "messages", func(body []byte) ([]wireMessage, error) {
		w = wireRequest{}
		err := openai.Decode(body, &w)
		return w.Messages, err
	}, (*wireMessage).own)
	if err != nil {
		return nil, err
	}
	// Some clients send the body of the Responses API to this route; from here on it has chat's
	// shape.
	w.convertInput()
	req := &Request{Stream: w.Stream}
	req.ModelName, req.Effort = w.Model, w.ReasoningEffort
	for _, step := range []func(*wireRequest) error{
		checkRequired, checkUnsupported, refuseInputFields, checkRanges,
		req.setStreamOptions, req.setTools, req.setToolChoice, req.setMessages, req.setFormat, req.setLimits, req.keep,
	} {
		if err := step(&w); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// checkRequired checks the fields without which there is no request.
func checkRequired(w *wireRequest) error {
	switch {
	case w.Model == "":
		return openai.Missing("model")
	case w.Messages == nil:
		return openai.Missing("messages")
	case len(w.Messages) == 0:
		return agent.ParamError(agent.InvalidValue, "messages", "'messages' is empty. Send at least one message.")
	}
	return nil
}

// checkUnsupported refuses fields that would silently give the caller something other than what was asked
// for. Their harmless values, such as "n": 1, are accepted, because clients send them always.
func checkUnsupported(w *wireRequest) error {
	for _, f := range []struct {
		asked   bool
		code    agent.Code
		param   string
		message string
	}{
		{w.N != nil && *w.N > 1, agent.UnsupportedValue, "n", openai.OneAnswer},
		{slices.Contains(w.Modalities, "audio"), agent.UnsupportedValue, "modalities", "The models answer in text only. Leave 'audio' out of 'modalities'."},
		{w.Audio != nil, agent.UnsupportedParameter, "audio", "The models answer in text only. Leave 'audio' out."},
		{len(w.WebSearchOptions) > 0, agent.UnsupportedParameter, "web_search_options", "This server does not search the web. Leave 'web_search_options' out, or offer a search of your own as a tool."},
		{w.Moderation != nil, agent.UnsupportedParameter, "moderation", openai.NoModeration},
	} {
		if f.asked {
			return agent.ParamError(f.code, f.param, "%s", f.message)
		}
	}
	if w.Logprobs {
		return openai.NoLogprobs("logprobs")
	}
	return nil
}

// checkRanges checks the numbers that OpenAI's API bounds.
func checkRanges(w *wireRequest) error {
	if err := openai.InRange("n", w.N, 1, 1); err != nil {
		return err
	}
	return w.Sampling.Check()
}

// setStreamOptions reads the options of a stream. Some editors send them without "stream", where they are
// ignored.
func (r *Request) setStreamOptions(w *wireRequest) error {
	r.IncludeUsage = w.Stream && w.StreamOptions != nil && w.StreamOptions.IncludeUsage
	return nil
}

// setFormat reads response_format. What it asks for is enforced by package control. A format of
// plain text leaves the zero value.
func (r *Request) setFormat(w *wireRequest) error {
	if w.ResponseFormat == nil {
		return nil
	}
	var schema openai.SchemaFormat
	if w.ResponseFormat.JSONSchema != nil {
		schema = *w.ResponseFormat.JSONSchema
		if schema.Schema == nil && schema.Name != "" {
			schema.Schema = openai.Object(`{}`) // chat's schema is optional, that of the Responses API is not
		}
	}
	kind := w.ResponseFormat.Type
	if given := w.ResponseFormat.Schema; given != nil && schema.Schema == nil && (kind == "json_object" || kind == "json_schema") {
		kind, schema.Schema = "json_schema", given
	}
	var err error
	r.Format, err = openai.Format(kind, "response_format", schema, "response_format.json_schema")
	return err
}

// setLimits reads the limits at which the answer is cut off. If both spellings of the token limit are there, the newer one counts.
//
// max_tokens is the older name. 0 or -1 is no limit, as in openai.MaxTokens.
func (r *Request) setLimits(w *wireRequest) error {
	for _, f := range []struct {
		param string
		value *openai.Int
		// The newer one last, so that it overwrites the older.
	}{{"max_tokens", w.MaxTokens}, {"max_completion_tokens", w.MaxCompletionTokens}} {
		limit, err := openai.MaxTokens(f.param, f.value)
		if err != nil {
			return err
		}
		if limit > 0 {
			r.MaxOutputTokens = limit
		}
	}
	var err error
	r.Stop, err = openai.Stops("stop", w.Stop)
	return err
}
