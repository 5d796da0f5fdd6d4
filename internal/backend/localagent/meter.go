package localagent

import (
	"composer-api/internal/agent"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/pb"
)

// A meter counts what a run costs: what upstream reports at the end of its turns, and estimates until then. It
// belongs to whoever has the reading role. Numbers are tokens unless they are called bytes.
//
// Upstream reports the cost of a run once, at its end, but a run with tool calls is several turns for the client,
// each with a usage of its own. So a turn that ends in calls reports an estimate, and the last turn what is left
// of the true cost; decisions/0008 says why. For a run of two turns:
//
//	                      output tokens
//	turn 1 ends in calls  50, estimated
//	turn 2 ends           upstream reports 120 for the run: 70
type meter struct {
	hasUsage bool        // upstream has reported what a turn cost
	total    agent.Usage // the sum of those reports; sub-agents end turns of their own
	reported agent.Usage // the sum of what this run's turns have told the client

	context int64 // tokens of the whole context, by the last checkpoint
	tokens  int64 // output tokens, by the deltas
	prompt  int   // bytes sent
	output  int   // bytes got: text, thinking and arguments
}

// turnEnded adds up the cost that upstream reports for a turn. There are several reports when sub-agents had
// turns of their own. Source: the protocol's description of events.
func (m *meter) turnEnded(t *pb.TurnEnded) {
	m.hasUsage = m.hasUsage || t.InputTokens != nil || t.OutputTokens != nil
	agentwire.AddCost(&m.total, t)
}

// stopForTools is what a turn that ends in tool calls reports: an estimate, of the output from the token deltas
// or else its length, and of the prompt from the size of the context or else its length.
func (m *meter) stopForTools() agent.Usage { return m.report(m.estimate()) }

// end is what the turn that ends the run reports: the cost that upstream has reported and no turn before this one
// has, so that the turns add up to the run. An estimate that was too high can't be taken back.
//
// The prompt is an exception: it never becomes less than the context of this turn (or, if upstream counts less
// than that, than all that upstream counts). Clients see from the last answer how full the context is, and
// compact the conversation by it.
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

// estimate is what the current turn has cost, as far as we can know.
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

// report records what a turn reports, so that no later one reports it again.
func (m *meter) report(u agent.Usage) agent.Usage {
	m.reported.Input += u.Input
	m.reported.Output += u.Output
	m.reported.Estimated = m.reported.Estimated || u.Estimated
	return u
}
