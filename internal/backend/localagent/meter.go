package localagent

import (
	"composer-api/internal/agent"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/pb"
)

// A meter counts what a run costs: what upstream reports at the end of its turns, and until then what can be gathered. It belongs
// to the reading role. Everything is in tokens but where bytes are named.
type meter struct {
	hasUsage bool        // upstream has reported what a turn cost
	total    agent.Usage // the sum of those reports; sub-agents end turns of their own
	reported agent.Usage // the sum of what this run's turns have told the client

	context int64 // tokens of the whole context, by the last checkpoint
	tokens  int64 // output tokens, by the deltas
	prompt  int   // bytes sent
	output  int   // bytes got: text, thinking and arguments
}

// turnEnded adds up the cost that upstream reports for a turn. Source: turn_ended may come several times, and is to be added up.
func (m *meter) turnEnded(t *pb.TurnEnded) {
	m.hasUsage = m.hasUsage || t.InputTokens != nil || t.OutputTokens != nil
	agentwire.AddCost(&m.total, t)
}

// stopForTools is what a turn that ends in tool calls reports. Upstream says what a run costs at its end, so this is an
// estimate: of the output by the token deltas or else its length, of the prompt by the context's size or else its
// length.
func (m *meter) stopForTools() agent.Usage { return m.report(m.estimate()) }

// end is what the turn that ends the run reports: what upstream said and no turn before it has reported, so that the
// turns add up to the run. An estimate that was too high can't be taken back.
//
// Of the prompt no more is taken off than leaves the context of this turn, or, if upstream counts less than that, all
// that upstream said: clients read off the last answer how full the context is, and compact the conversation by it.
func (m *meter) end() agent.Usage {
	if !m.hasUsage {
		return m.report(m.estimate())
	}
	u := m.total
	u.Output = max(0, u.Output-m.reported.Output)
	u.Reasoning = min(u.Reasoning, u.Output) // which estimates know nothing of
	prompt := m.reported.Input               // estimates do not tell what the cache serves
	if m.reported.Input > 0 {
		prompt = min(prompt, max(0, u.Prompt()-m.estimate().Input))
	}
	for _, part := range []*int64{&u.Input, &u.CacheWrite, &u.CacheRead} {
		taken := min(*part, prompt)
		*part -= taken
		prompt -= taken
	}
	u.Estimated = m.reported.Estimated
	return m.report(u)
}

// estimate is what the current turn has cost.
func (m *meter) estimate() agent.Usage {
	output := m.tokens
	if output == 0 {
		output = agent.EstimateTokens(m.output)
	}
	u := agent.Usage{Output: max(0, output-m.reported.Output), Estimated: true}
	if u.Input = m.context - u.Output; u.Input <= 0 {
		u.Input = agent.EstimateTokens(m.prompt)
	}
	return u
}

func (m *meter) report(u agent.Usage) agent.Usage {
	m.reported.Input += u.Input
	m.reported.Output += u.Output
	m.reported.Estimated = m.reported.Estimated || u.Estimated
	return u
}
