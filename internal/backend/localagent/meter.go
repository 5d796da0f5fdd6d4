package localagent

import (
	"composer-api/internal/agent"
	"composer-api/internal/cursor/pb"
)

// A meter counts what a run costs: what upstream says at the end of its turns, and until then what can be gathered.
type meter struct {
	said  bool        // upstream has said what a turn cost
	total agent.Usage // the sum of what it said; sub-agents end turns of their own

	context int64 // tokens of the whole context, by the last checkpoint
	tokens  int64 // output tokens, by the deltas
	prompt  int   // bytes sent
	output  int   // bytes got: text, thinking and arguments
}

func (m *meter) turnEnded(t *pb.TurnEnded) {
	m.said = m.said || t.InputTokens != nil || t.OutputTokens != nil
	AddCost(&m.total, t)
}

// AddCost adds what upstream says that a turn has cost.
func AddCost(total *agent.Usage, t *pb.TurnEnded) {
	total.Input += t.GetInputTokens()
	total.Output += t.GetOutputTokens()
	total.CacheRead += t.GetCacheReadTokens()
	total.CacheWrite += t.GetCacheWriteTokens()
	total.Reasoning += t.GetReasoningTokens()
}

// usage is what the run has cost so far. Before the end of the turn, and when upstream doesn't say, it is an estimate:
// of the output by the token deltas or else its length, of the prompt by the context's size or else its length.
func (m *meter) usage() agent.Usage {
	if m.said {
		return m.total
	}
	u := agent.Usage{Output: m.tokens, Estimated: true}
	if u.Output == 0 {
		u.Output = agent.EstimateTokens(m.output)
	}
	if u.Input = m.context - u.Output; u.Input <= 0 {
		u.Input = agent.EstimateTokens(m.prompt)
	}
	return u
}
