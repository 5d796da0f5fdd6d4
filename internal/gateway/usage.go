package gateway

import "composer-api/internal/agent"

// usageOrEstimate is what upstream said, or else our own count.
func (t *turn) usageOrEstimate() agent.Usage {
	if t.usage != nil {
		return *t.usage
	}
	return agent.Usage{Input: EstimatePrompt(t.req), Output: agent.EstimateTokens(t.written), Estimated: true}
}

// EstimatePrompt is about how many tokens req's conversation and tools are.
func EstimatePrompt(req *agent.Request) int64 {
	size, images := 0, 0
	for i := range req.Messages {
		for _, p := range req.Messages[i].Parts {
			size += len(p.Text)
			if p.Image != nil {
				images++
			}
		}
		for _, c := range req.Messages[i].Calls {
			size += len(c.Name) + len(c.Arguments)
		}
	}
	for _, tool := range req.Tools {
		size += len(tool.Name) + len(tool.Description) + len(tool.Parameters)
	}
	return agent.EstimateTokens(size) + int64(images)*agent.TokensPerImage
}
