package replay

import "composer-api/internal/agent"

// A Count estimates tokens from bytes, as agent.EstimateTokens does everywhere, for upstreams that don't say what a turn costs.
type Count struct {
	prompt, text, reasoning int // bytes
	images                  int
}

// Prompt counts what was sent.
func (c *Count) Prompt(text string, images int) {
	c.prompt += len(text)
	c.images += images
}

// Event counts what the model wrote.
func (c *Count) Event(e *agent.Event) {
	switch e.Kind {
	case agent.Text:
		c.text += len(e.Text)
	case agent.Reasoning:
		c.reasoning += len(e.Text)
	case agent.Call:
		c.text += len(e.Call.Name) + len(e.Call.Arguments)
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
