package replay

import "composer-api/internal/agent"

// A Count estimates tokens from bytes, as agent.EstimateTokens does everywhere, for upstreams that
// don't report what a turn costs. The zero value is an empty count. It is for one goroutine.
type Count struct {
	prompt, text, reasoning int // bytes
	// images counts pictures, each of which is taken for a fixed number of tokens.
	images int
}

// Prompt counts text and images that were sent.
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

// Usage is the estimate. Output contains Reasoning, as in agent.Usage.
func (c *Count) Usage() *agent.Usage {
	reasoning := agent.EstimateTokens(c.reasoning)
	return &agent.Usage{
		Input:     agent.EstimateTokens(c.prompt) + int64(c.images)*agent.TokensPerImage,
		Output:    agent.EstimateTokens(c.text) + reasoning,
		Reasoning: reasoning,
		Estimated: true,
	}
}

// A turnUsage adds up what the answers of one turn cost.
//
// A turn has several answers only when the model had to be told of refused calls. before is the
// sum of those that are over, last what the present one has reported.
type turnUsage struct {
	before, last agent.Usage
}

// sum is the cost of the turn so far, when the answer that is being read has cost u.
func (t *turnUsage) sum(u *agent.Usage) *agent.Usage {
	t.last = *u
	sum := *u
	sum.Input += t.before.Input
	sum.CacheRead += t.before.CacheRead
	sum.CacheWrite += t.before.CacheWrite
	sum.Output += t.before.Output
	sum.Reasoning += t.before.Reasoning
	sum.Estimated = sum.Estimated || t.before.Estimated
	return &sum
}

// next notes that another answer begins.
func (t *turnUsage) next() {
	t.before = *t.sum(&t.last)
	t.last = agent.Usage{}
}
