package agentwire

import (
	"composer-api/internal/agent"
	"composer-api/internal/cursor/pb"
)

// AddCost adds what upstream says that a turn has cost.
func AddCost(total *agent.Usage, t *pb.TurnEnded) {
	total.Input += t.GetInputTokens()
	total.Output += t.GetOutputTokens()
	total.CacheRead += t.GetCacheReadTokens()
	total.CacheWrite += t.GetCacheWriteTokens()
	total.Reasoning += t.GetReasoningTokens()
}
