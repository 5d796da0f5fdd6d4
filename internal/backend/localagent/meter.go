package localagent

import (
	"composer-api/internal/agent"
	"composer-api/internal/backend/meter"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/pb"
)

// A runMeter counts what a run costs: what upstream reports at the end of its turns, and estimates until then. It
// belongs to whoever has the reading role. Numbers are tokens unless they are called bytes.
//
// A run may have many turns for the client while it is one turn for upstream, which reports the whole cost
// at its end only. So the turns before it are estimated, and the last one gets what is left (meter.Meter).
type runMeter struct {
	// spread tells how much of the whole belongs to each turn of the client's.
	spread   meter.Meter
	hasUsage bool        // upstream has reported what a turn cost
	total    agent.Usage // the sum of those reports; sub-agents end turns of their own

	context int64 // tokens of the whole context, by the last checkpoint
	tokens  int64 // output tokens, by the deltas
	prompt  int   // bytes sent
	output  int   // bytes got: text, thinking and arguments
}

// turnEnded adds up the cost that upstream reports for a turn. There are several reports when sub-agents had
// turns of their own. Source: the protocol's description of events.
func (m *runMeter) turnEnded(t *pb.TurnEnded) {
	m.hasUsage = m.hasUsage || t.InputTokens != nil || t.OutputTokens != nil
	agentwire.AddCost(&m.total, t)
}

// stopForTools is what a turn that ends in tool calls reports: an estimate, of the output from the token deltas
// or else its length, and of the prompt from the size of the context or else its length.
func (m *runMeter) stopForTools() agent.Usage { return m.spread.Pause(m.turnsPrompt(), m.written()) }

// end is what the turn that ends the run reports. Without a report of upstream's it is an
// estimate, as for any other turn.
func (m *runMeter) end() agent.Usage {
	if !m.hasUsage {
		return m.stopForTools()
	}
	return m.spread.End(m.total, m.turnsPrompt())
}

// written is how much the run has written so far, as far as we can know.
func (m *runMeter) written() int64 {
	if m.tokens > 0 {
		return m.tokens
	}
	return agent.EstimateTokens(m.output)
}

// turnsPrompt is about how large the prompt of the current turn is: the context without what the turn has written.
func (m *runMeter) turnsPrompt() int64 {
	if prompt := m.context - m.spread.Unreported(m.written()); prompt > 0 {
		return prompt
	}
	return agent.EstimateTokens(m.prompt)
}
