package openai

import "cmp"

// Sampling are the fields of a request that steer how the model picks its words. Upstream has nothing of the kind, so
// they change nothing; they are checked all the same, because a mistake should show here as it does elsewhere.
type Sampling struct {
	Temperature      *float64 `json:"temperature"`
	TopP             *float64 `json:"top_p"`
	PresencePenalty  *float64 `json:"presence_penalty"`
	FrequencyPenalty *float64 `json:"frequency_penalty"`
	TopLogprobs      *Int     `json:"top_logprobs"`
}

// Check checks the ranges that OpenAI gives.
func (s *Sampling) Check() error {
	return cmp.Or(
		InRange("temperature", s.Temperature, 0, 2),
		InRange("top_p", s.TopP, 0, 1),
		InRange("presence_penalty", s.PresencePenalty, -2, 2),
		InRange("frequency_penalty", s.FrequencyPenalty, -2, 2),
		InRange("top_logprobs", s.TopLogprobs, 0, 20),
	)
}
