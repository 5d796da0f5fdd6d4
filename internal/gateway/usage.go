package gateway

import "composer-api/internal/agent"

// usageOrEstimate is what upstream said, or else our own count.
func (t *turn) usageOrEstimate() agent.Usage {
	if t.usage != nil {
		return *t.usage
	}
	return agent.Usage{Input: agent.EstimatePrompt(t.req), Output: agent.EstimateTokens(t.written), Estimated: true}
}
