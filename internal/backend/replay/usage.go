package replay

import (
	"unicode/utf8"

	"composer-api/internal/agent"
)

// A Count estimates tokens from characters, for upstreams that don't say what a turn costs.
type Count struct {
	prompt, text, reasoning int // characters
	images                  int
}

// Prompt counts what was sent.
func (c *Count) Prompt(text string, images int) {
	c.prompt += utf8.RuneCountInString(text)
	c.images += images
}

// Event counts what the model wrote.
func (c *Count) Event(e *agent.Event) {
	switch e.Kind {
	case agent.Text:
		c.text += utf8.RuneCount(e.Text)
	case agent.Reasoning:
		c.reasoning += utf8.RuneCount(e.Text)
	case agent.Call:
		c.text += utf8.RuneCountInString(e.Call.Name) + utf8.RuneCount(e.Call.Arguments)
	}
}

// Usage is the estimate.
func (c *Count) Usage() *agent.Usage {
	reasoning := agent.EstimateTokens(c.reasoning)
	return &agent.Usage{
		Input:     agent.EstimateTokens(c.prompt) + int64(c.images)*agent.TokensPerImage,
		Output:    agent.EstimateTokens(c.text) + reasoning,
		Reasoning: reasoning,
		Estimated: true,
	}
}
