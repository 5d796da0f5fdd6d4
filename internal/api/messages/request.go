package messages

import (
	"bytes"
	"encoding/json"

	"composer-api/internal/agent"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
)

// A Request is a decoded Messages request. The embedded request is what the gateway gets. The rest is for this surface alone, whose
// encoder reads it while the turn runs.
type Request struct {
	agent.Request
	// Stream asks for a stream.
	Stream bool

	showThinking bool     // the client wants to see the model's thinking
	dropped      []string // types of the tools that were left out because only Anthropic's servers can run them
	userID       string   // metadata.user_id
}

// wireRequest is the request as it is sent. Fields that are not here are ignored, whatever they
// hold: temperature, top_p and top_k, which upstream has no place for; cache_control and
// context_management, because upstream decides what the cache holds; service_tier,
// container, mcp_servers, and whatever comes next. Thread and Compaction are there to be refused.
//
// It is read once and belongs to decode; the blocks of its messages point into body.
type wireRequest struct {
	// Model, Messages and MaxTokens are required, but for counting tokens, which needs no MaxTokens.
	Model         string          `json:"model"`
	Messages      []wireMessage   `json:"messages"`
	System        content         `json:"system"`
	MaxTokens     *openai.Int     `json:"max_tokens"`
	StopSequences []string        `json:"stop_sequences"`
	Stream        bool            `json:"stream"`
	Tools         []wireTool      `json:"tools"`
	ToolChoice    *wireToolChoice `json:"tool_choice"`
	Thinking      *wireThinking   `json:"thinking"`
	OutputConfig  *struct {
		Effort string      `json:"effort"`
		Format *wireFormat `json:"format"`
	} `json:"output_config"`
	OutputFormat *wireFormat `json:"output_format"` // where the format stood in the API's beta
	Metadata     *struct {
		UserID string `json:"user_id"`
	} `json:"metadata"`
	Thread     openai.Object `json:"thread"`
	Compaction openai.Object `json:"compaction"`
	openAIFields

	body []byte // what it was decoded from
}

// wireThinking is thinking: {"type": "enabled", "budget_tokens": 1024}, whose budget has no effect, or
// {"type": "adaptive", "display": "omitted"}.
type wireThinking struct {
	Type string `json:"type"`
	// Display of "omitted" leaves the thinking out of the answer.
	Display string `json:"display"`
}

// wireFormat is the form that the answer must have: {"type": "json_schema", "schema": {…}}.
type wireFormat struct {
	Type   string        `json:"type"`
	Schema openai.Object `json:"schema"`
}

// Decode reads a request body. Errors are *agent.Error with the field's path as Param. What the gateway and httpd fill
// in is left empty; images with a URL are still to be fetched. Messages that sent has are not decoded again.
func Decode(body []byte, sent known.Sender) (*Request, error) {
	return decode(body, sent, checkModel, checkMessages, checkMaxTokens, checkPrefill)
}

// decodeCount reads the body of a request that asks how long a prompt is. It has no answer to be limited or begun.
func decodeCount(body []byte, sent known.Sender) (*Request, error) {
	return decode(body, sent, checkModel, checkMessages)
}

// decode reads a request with these checks first. The order of the steps decides which error a request with several mistakes gets.
//
// RewritesCalls is set for every client of this API: Claude Code changes the arguments of calls
// before it runs them.
func decode(body []byte, sent known.Sender, checks ...func(*wireRequest) error) (*Request, error) {
	var w wireRequest
	// Offsets of blocks count from here, so a byte order mark must go before anything is decoded.
	err := known.Decode(sent, bytes.TrimPrefix(body, []byte("\uFEFF")), "messages", func(body []byte) ([]wireMessage, error) {
		w = wireRequest{body: body}
		err := openai.Decode(body, &w)
		return w.Messages, err
	}, (*wireMessage).own)
	if err != nil {
		return nil, err
	}
	req := &Request{Stream: w.Stream}
	req.ModelName, req.RewritesCalls = w.Model, true
	for i := range w.Tools {
		w.Tools[i].unify()
	}
	// The model comes first, so that an empty request is told the most useful thing.
	steps := append(checks, checkUnsupported, refuseOpenAIFields, req.setMessages, req.setToolChoice, req.setThinking, req.setOutput, req.setLimits)
	for _, step := range steps {
		if err := step(&w); err != nil {
			return nil, err
		}
	}
	if w.Metadata != nil {
		req.userID = w.Metadata.UserID
	}
	return req, nil
}

// checkModel requires the model.
func checkModel(w *wireRequest) error {
	if w.Model == "" {
		return openai.Missing("model")
	}
	return nil
}

// checkMessages requires a message.
func checkMessages(w *wireRequest) error {
	switch {
	case w.Messages == nil:
		return openai.Missing("messages")
	case len(w.Messages) == 0:
		return agent.ParamError(agent.InvalidValue, "messages", "'messages' is empty. Send at least one message.")
	}
	return nil
}

// checkUnsupported refuses what would silently give the caller something other than asked.
func checkUnsupported(w *wireRequest) error {
	switch {
	case w.Thread != nil:
		return &agent.Error{
			Code: agent.UnsupportedParameter, Param: "thread", Err: errThread,
			Message: "Conversations are not kept here, so 'thread' can't be continued. Leave it out and send all messages.",
		}
	case w.Compaction != nil:
		return agent.ParamError(agent.UnsupportedParameter, "compaction", "Conversations are not compacted here. Leave 'compaction' out and ask for a summary in a message.")
	}
	return nil
}

// checkMaxTokens requires the token limit, as Anthropic's API does: SDKs make it a required argument.
func checkMaxTokens(w *wireRequest) error {
	switch {
	case w.MaxTokens == nil:
		return openai.Missing("max_tokens")
	case *w.MaxTokens < 1:
		return agent.ParamError(agent.InvalidValue, "max_tokens", "Invalid value %d for 'max_tokens': it must be at least 1.", *w.MaxTokens)
	}
	return nil
}

// checkPrefill refuses a conversation that ends with the beginning of the answer: upstream's
// models begin their answers themselves, and would repeat what stands there or answer it. The
// messages have been checked not to be empty.
func checkPrefill(w *wireRequest) error {
	last := len(w.Messages) - 1
	if w.Messages[last].Role == assistantRole {
		param := element("messages", last)
		return agent.ParamError(agent.UnsupportedValue, param,
			"'%s' is the last message and the assistant's. The models here can't continue an answer that was begun (prefill). End with a message of the user.", param)
	}
	return nil
}

// setThinking reads whether the client wants to see the thinking. How much the model thinks
// is not asked for: Cursor decides it by the model. Without the field thinking is not shown, as in Anthropic's API.
// budget_tokens isn't decoded, so any value of it will do.
func (r *Request) setThinking(w *wireRequest) error {
	if w.Thinking == nil {
		return nil
	}
	switch w.Thinking.Type {
	case "enabled", "adaptive":
		// Any other display, also one that is new, shows it.
		r.showThinking = w.Thinking.Display != "omitted"
	case "disabled":
	case "":
		return openai.Missing("thinking.type")
	default:
		return openai.OneOf("thinking.type", w.Thinking.Type, "enabled", "adaptive", "disabled")
	}
	return nil
}

// setOutput reads the effort and the form of the answer. The newer place of the format goes
// before the older one. A schema is always strict.
//
// There is no json_object in this API.
func (r *Request) setOutput(w *wireRequest) error {
	format, param := w.OutputFormat, "output_format"
	if w.OutputConfig != nil {
		r.Effort = w.OutputConfig.Effort
		if w.OutputConfig.Format != nil {
			format, param = w.OutputConfig.Format, "output_config.format"
		}
	}
	switch {
	case format == nil:
		return nil
	case format.Type == "":
		return openai.Missing(param + ".type")
	case format.Type != "json_schema":
		return openai.OneOf(param+".type", format.Type, "json_schema")
	case format.Schema == nil:
		return openai.Missing(param + ".schema")
	}
	if err := openai.CheckSchema(format.Schema, true, param); err != nil {
		return err
	}
	r.Format = agent.Format{Kind: agent.JSONSchema, Schema: json.RawMessage(format.Schema), Strict: true}
	return nil
}

// setLimits reads the limits at which the answer is cut off.
func (r *Request) setLimits(w *wireRequest) error {
	if w.MaxTokens != nil {
		// Only a count can come with a limit below 1, which means nothing for it: other requests were refused by checkMaxTokens.
		r.MaxOutputTokens = max(int(*w.MaxTokens), 0)
	}
	var err error
	r.Stop, err = openai.Stops("stop_sequences", openai.StringOr[[]string]{Kind: '[', Other: w.StopSequences})
	return err
}
