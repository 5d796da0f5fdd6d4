package openai

import (
	"cmp"

	"composer-api/internal/agent"
)

// Sampling are the fields of a request that control how the model picks its words. Upstream has nothing
// like them, so they have no effect. They are checked all the same, so that a mistake shows here as it
// would with OpenAI.
type Sampling struct {
	// Nil is a field that was not sent; responses repeat the defaults then.
	Temperature      *float64 `json:"temperature"`
	TopP             *float64 `json:"top_p"`
	PresencePenalty  *float64 `json:"presence_penalty"`
	FrequencyPenalty *float64 `json:"frequency_penalty"`
	TopLogprobs      *Int     `json:"top_logprobs"`
}

// Check checks the ranges that OpenAI gives. Log probabilities are refused, because an answer without them isn't what was
// asked for.
func (s *Sampling) Check() error {
	if s.TopLogprobs != nil && *s.TopLogprobs > 0 {
		return NoLogprobs("top_logprobs")
	}
	return cmp.Or(
		InRange("temperature", s.Temperature, 0, 2),
		InRange("top_p", s.TopP, 0, 1),
		InRange("presence_penalty", s.PresencePenalty, -2, 2),
		InRange("frequency_penalty", s.FrequencyPenalty, -2, 2),
		InRange("top_logprobs", s.TopLogprobs, 0, 20),
	)
}

// What requests are told on both of OpenAI's APIs that ask for what is not done here.
const (
	NoModeration = "Nothing is moderated here. Leave 'moderation' out, and check the text elsewhere if it has to be checked."
	OneAnswer    = "There is one answer to a request. Leave 'n' out, or send the request several times."
)

// NoLogprobs is the error of a request that asks for log probabilities in the field param.
func NoLogprobs(param string) error {
	return agent.ParamError(agent.UnsupportedValue, param, "Log probabilities are not available, because upstream does not give any. Leave '%s' out.", param)
}
