package responses

import (
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// Parameters of chat completions, and of Anthropic's Messages API, in a request to this API, as programs send them that were moved
// here in part. OpenAI refuses them, too, and names the new place. Left out in silence, they would give another answer than was
// asked for: prose in place of JSON, or a text that is longer than wanted.

// chatFields are those parameters, as far as they change the answer. The others are ignored.
type chatFields struct {
	Messages            openai.Sent                       `json:"messages"`
	ResponseFormat      *chatFormat                       `json:"response_format"`
	MaxTokens           openai.Sent                       `json:"max_tokens"`
	MaxCompletionTokens openai.Sent                       `json:"max_completion_tokens"`
	Functions           []openai.Sent                     `json:"functions"`
	Stop                openai.StringOr[[]jsontext.Value] `json:"stop"`
	N                   *openai.Int                       `json:"n"`
	Logprobs            bool                              `json:"logprobs"`

	// Of Anthropic's Messages API.
	System        openai.StringOr[[]openai.Sent] `json:"system"`
	StopSequences openai.StringOr[[]openai.Sent] `json:"stop_sequences"`
}

// chatFormat is the part of response_format that tells whether it asks for anything.
// "text" asks for nothing.
type chatFormat struct {
	Type string `json:"type"`
}

// refuseChatFields refuses those that ask for something. A parameter whose new form was sent as well does no harm: clients that
// speak to servers of many kinds send both.
func (b *body) refuseChatFields() error {
	for _, f := range []struct {
		param string
		asked bool
		here  string // the parameter of this API
		both  bool   // which was sent, too
	}{
		{"messages", bool(b.Messages), "input", !b.Input.IsZero()},
		{"response_format", b.ResponseFormat != nil && b.ResponseFormat.Type != "text", "text.format", b.Text.Format != nil},
		{"max_tokens", bool(b.MaxTokens), "max_output_tokens", b.MaxOutputTokens != nil},
		{"max_completion_tokens", bool(b.MaxCompletionTokens), "max_output_tokens", b.MaxOutputTokens != nil},
		{"functions", len(b.Functions) > 0, "tools", len(b.Tools) > 0},
	} {
		if f.asked && !f.both {
			return agent.ParamError(agent.UnsupportedParameter, f.param,
				"The Responses API has no '%s': there it is '%s'. Send that instead, or use /v1/chat/completions.", f.param, f.here)
		}
	}
	switch {
	case (b.System.String != "" || len(b.System.Other) > 0) && b.Instructions.IsZero():
		return agent.ParamError(agent.UnsupportedParameter, "system", "The Responses API has no 'system': there it is 'instructions'. Send that instead, or use /v1/messages.")
	case len(b.StopSequences.Other) > 0:
		return agent.ParamError(agent.UnsupportedParameter, "stop_sequences", "The Responses API has no 'stop_sequences'. Leave it out, or use /v1/messages.")
	case b.Stop.String != "" || len(b.Stop.Other) > 0:
		return agent.ParamError(agent.UnsupportedParameter, "stop", "The Responses API has no 'stop'. Leave it out, or use /v1/chat/completions.")
	// One answer is what this API gives anyway.
	case b.N != nil && *b.N > 1:
		return agent.ParamError(agent.UnsupportedParameter, "n", openai.OneAnswer)
	case b.Logprobs:
		return openai.NoLogprobs("logprobs")
	}
	return nil
}

// A chatShape notes that a tool, or the choice of one, came as chat completions have it, with its name in a member of its own:
//
//	{"type": "function", "function": {"name": "read", …}}   in place of   {"type": "function", "name": "read", …}
type chatShape struct {
	Function openai.Sent `json:"function"`
	Custom   openai.Sent `json:"custom"`
}

// missingName is the error for a tool, or the choice of one, without a name. To take the name from the other place would be no
// help: the response repeats the tools, and SDKs read them in this API's form.
func (c *chatShape) missingName(param string) error {
	// A new error each time, so its message may be lengthened.
	err := openai.Missing(param + ".name")
	if c.Function || c.Custom {
		err.Message += " In the Responses API, the name and the other members of a tool stand beside its 'type'."
	}
	return err
}
