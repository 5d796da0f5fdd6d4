package control

import (
	"fmt"
	"slices"

	"composer-api/internal/agent"
)

// The guard ends runs in which the model makes the same call again and again. Some models do so when
// a tool's result does not tell them what they want to know, and each round costs the whole prompt.

// A streak counts how often the same call comes one after the other. Two calls are the same when
// Config.SameCall says so: the same tool and arguments, whatever the ids.
type streak struct {
	last *agent.ToolCall // nil when there is none
	// n counts last, too; 0 when there is none.
	n int
}

// streakIn is the streak that a transcript ends in. What the user says between two calls doesn't end
// a streak, because some clients put reminders there; an answer of the model does. It reads from
// the end and stops at the first other call, so a long transcript costs little.
func streakIn(messages []agent.Message, same func(a, b *agent.ToolCall) bool) streak {
	var found streak
	for i := len(messages) - 1; i >= 0; i-- {
		m := &messages[i]
		if m.Role == agent.User && i > 0 && messages[i-1].Role == agent.Assistant && len(messages[i-1].Calls) == 0 {
			return found
		}
		for j := range slices.Backward(m.Calls) {
			c := &m.Calls[j]
			if found.last != nil && !same(c, found.last) {
				return found
			}
			found.last = c
			found.n++
		}
	}
	return found
}

// guard counts a call that the client is to get. An error ends a run that goes in circles: it costs money and gets nowhere.
//
// What counts is the whole conversation: the transcript of the request, taken in at the turn's
// first call, and then each call of the turn. So a run that starts again from the transcript
// does not begin to count again.
func (r *Run) guard(c *agent.ToolCall) error {
	limit := r.layer.cfg.MaxRepeats
	if limit <= 0 {
		return nil
	}
	if !r.counted {
		r.streak, r.counted = streakIn(r.req.Messages, r.layer.cfg.SameCall), true
	}
	if r.streak.last == nil || !r.layer.cfg.SameCall(c, r.streak.last) {
		r.streak = streak{}
	}
	r.streak.last = c
	if r.streak.n++; r.streak.n <= limit {
		return nil
	}
	return &agent.Error{Code: agent.RepeatedToolCall, Final: true, Message: fmt.Sprintf(
		"The model has made the same tool call with the same arguments %d times in a row, so its run was ended. Tell it what to do instead, or raise COMPOSER_MAX_REPEATED_CALLS.", r.streak.n)}
}
