// Package meter spreads the cost of a run over the turns of the run.
//
// Upstream reports the cost of a run once, at its end, but a run with tool calls is several turns for the client, each
// with a usage of its own. So a turn that ends in calls reports an estimate, and the last turn what is left of the true
// cost; decisions/0008 says why. For a run of two turns:
//
//	                      output tokens
//	turn 1 ends in calls  50, estimated
//	turn 2 ends           upstream reports 120 for the run: 70
package meter

import "composer-api/internal/agent"

// A Meter keeps what the turns of a run have reported. Numbers are tokens. It is for one goroutine at a time.
//
// localagent and sdkbridge have one in each run; replay's backends need none, because there
// each turn is a request with a cost of its own.
type Meter struct {
	reported agent.Usage // the sum of what this run's turns have told the client
}

// Unreported is how much of the run's output so far no turn has reported.
func (m *Meter) Unreported(output int64) int64 { return max(0, output-m.reported.Output) }

// Pause is what a turn reports that ends in tool calls, or of which upstream reports nothing: prompt is the whole prompt
// of the turn, output what the run has written so far, both estimated.
func (m *Meter) Pause(prompt, output int64) agent.Usage {
	return m.report(agent.Usage{Input: prompt, Output: m.Unreported(output), Estimated: true})
}

// End is what the turn that ends the run reports: the cost that upstream has reported, which is total, and no turn before
// this one has, so that the turns add up to the run. An estimate that was too high can't be taken back.
//
// The prompt is an exception: it never becomes less than the prompt of this turn (or, if upstream counts less than that,
// than all that upstream counts). Clients see from the last answer how full the context is, and compact the conversation
// by it.
//
// The parts are taken off in the order Input, CacheWrite, CacheRead: what was reported before
// was called Input.
func (m *Meter) End(total agent.Usage, prompt int64) agent.Usage {
	u := total
	u.Output = m.Unreported(u.Output)
	u.Reasoning = min(u.Reasoning, u.Output) // which estimates know nothing of
	off := m.reported.Input                  // estimates do not tell what the cache serves
	if off > 0 {
		off = min(off, max(0, u.Prompt()-prompt))
	}
	for _, part := range []*int64{&u.Input, &u.CacheWrite, &u.CacheRead} {
		taken := min(*part, off)
		*part -= taken
		off -= taken
	}
	u.Estimated = m.reported.Estimated
	return m.report(u)
}

// report records what a turn reports, so that no later one reports it again.
func (m *Meter) report(u agent.Usage) agent.Usage {
	m.reported.Input += u.Input
	m.reported.Output += u.Output
	m.reported.Estimated = m.reported.Estimated || u.Estimated
	return u
}
