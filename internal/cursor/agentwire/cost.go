package agentwire

import (
	"composer-api/internal/agent"
	"composer-api/internal/cursor/pb"
)

// AddCost adds what a turn has cost, according to its turn_ended. A run may have several turns (those of
// sub-agents), so the numbers are added up. input_tokens excludes the cached ones, as agent.Usage does.
func AddCost(total *agent.Usage, t *pb.TurnEnded) {
	total.Input += t.GetInputTokens()
	total.Output += t.GetOutputTokens()
	total.CacheRead += t.GetCacheReadTokens()
	total.CacheWrite += t.GetCacheWriteTokens()
	total.Reasoning += t.GetReasoningTokens()
}
