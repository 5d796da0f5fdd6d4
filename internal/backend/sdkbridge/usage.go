package sdkbridge

import (
	"composer-api/internal/agent"
	"composer-api/internal/cursor/sdkv1"
)

// A meter tells what the turns of a run report. Upstream says what a run costs at its end only, so a turn that ends in
// tool calls reports an estimate, and the last turn takes the output that was reported off what upstream says. The
// prompt of the last turn is what upstream says for the run: clients read off it how full the context is.
type meter struct {
	prompt   int64 // tokens of the whole conversation and the tools, estimated
	written  int   // bytes got in this turn: text, thinking and arguments
	reported int64 // output tokens that earlier turns have reported
}

// pause is what a turn that ends in tool calls reports.
func (m *meter) pause() agent.Usage {
	u := agent.Usage{Input: m.prompt, Output: agent.EstimateTokens(m.written), Estimated: true}
	m.reported += u.Output
	m.written = 0
	return u
}

// end is what the last turn reports; said is nil when upstream has said nothing.
func (m *meter) end(said *sdkv1.TokenUsage) agent.Usage {
	if said == nil {
		return m.pause()
	}
	u := agent.Usage{
		Input: int64(said.Input), CacheRead: int64(said.CacheRead), CacheWrite: int64(said.CacheWrite),
		Output: max(0, int64(said.Output)-m.reported),
	}
	u.Reasoning = min(int64(said.Reasoning), u.Output)
	u.Estimated = m.reported > 0
	return u
}
