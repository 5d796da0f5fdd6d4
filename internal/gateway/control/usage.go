package control

import "composer-api/internal/agent"

// What a turn has cost, in tokens. An attempt is one turn of an inner run: the first, or one
// that a repair has begun. The client is told of the sum of all attempts of its turn, because
// all of them were paid for.
//
//	usage   attempts that are over
//	last    what upstream has said of the present one; nil until it has
//	said    bytes of the present one, for an estimate where upstream says nothing

// endAttempt counts the present attempt and begins another in its turn.
func (r *Run) endAttempt(why agent.Repair) {
	r.usage = r.usage.Plus(r.attempt())
	r.last, r.said = nil, 0
	r.turn.repairing(why)
}

// spent is what this turn has cost so far, all attempts together. It is not known while upstream has said nothing of the
// only attempt: whoever reads the events estimates it then.
func (r *Run) spent() (usage agent.Usage, known bool) {
	if r.last == nil && len(r.turn.repairs) == 0 {
		return agent.Usage{}, false
	}
	return r.usage.Plus(r.attempt()), true
}

// Spent is what the turn has cost so far, as far as it is known: for a turn that fails.
func (r *Run) Spent() agent.Usage {
	usage, _ := r.spent()
	return usage
}

// attempt is what the present attempt has cost: what upstream said, or else an estimate.
// EstimatePrompt counts the conversation as it would be sent whole: it is too much where
// upstream has most of it already, and marked as an estimate.
func (r *Run) attempt() agent.Usage {
	if r.last != nil {
		return *r.last
	}
	return agent.Usage{Input: agent.EstimatePrompt(r.req), Output: agent.EstimateTokens(r.said), Estimated: true}
}
