package cursorsim

import (
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

// updates sends what the model says and does, as interaction updates, and counts what it cost. It
// belongs to the run's goroutine and takes nothing in from the client. The order on the wire:
//
//	step_started  text_delta, thinking_delta, tool call mirrors …  step_completed
//	step_started  …                                                step_completed   after tool results
//	turn_ended
//
// Numbers are counted from the texts at four bytes a token, so that a test can know them beforehand.
type updates struct {
	notes
	// wire is the run's. started is when the run began, for how long the turn took.
	wire    *wire
	started time.Time

	step              uint64          // number of the current step, from 1
	answer, reasoning strings.Builder // of this turn, so far
	usage             *script.Usage   // what the script wants turn_ended to say; nil: count it
	ended             bool            // turn_ended was sent
}

// send sends an interaction update.
func (u *updates) send(update *pb.InteractionUpdate) error {
	return u.wire.send(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{InteractionUpdate: update}})
}

// beginStep opens the next step. Every step is between step_started and step_completed. Numbers
// go on over the whole run, also after tool results.
func (u *updates) beginStep() error {
	u.step++
	return u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_StepStarted{
		StepStarted: &pb.StepStarted{StepId: u.step},
	}})
}

// endStep closes the current step. Its duration is counted from the start of the run, in milliseconds.
func (u *updates) endStep() error {
	return u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_StepCompleted{
		StepCompleted: &pb.StepCompleted{StepId: u.step, StepDurationMs: time.Since(u.started).Milliseconds()},
	}})
}

// text sends a text delta; notice marks it as the server's words, which are no part of the answer. It is
// encoded by hand, because a script may cut a character in two, and generated code refuses strings that
// are not UTF-8.
func (u *updates) text(s string, notice bool) error {
	if !notice {
		u.answer.WriteString(s)
	}
	// 1 is text, 2 says that it is a notice.
	delta := appendString(nil, 1, s)
	if notice {
		delta = protowire.AppendTag(delta, 2, protowire.VarintType)
		delta = protowire.AppendVarint(delta, 1)
	}
	return u.wire.sendPayload(appendMessage(nil, 1, appendMessage(nil, 1, delta)))
}

// think sends a thinking delta, by hand for the same reason.
func (u *updates) think(s string) error {
	u.reasoning.WriteString(s)
	return u.wire.sendPayload(appendMessage(nil, 1, appendMessage(nil, 4, appendString(nil, 1, s))))
}

// heartbeat shows the client that the server is alive. It says nothing about progress.
func (u *updates) heartbeat() error {
	return u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_Heartbeat{Heartbeat: &pb.Empty{}}})
}

// tokens estimates how many tokens this turn has cost so far, at four bytes a token.
func (u *updates) tokens() int64 {
	return int64(len(u.rec.Prompt)+u.answer.Len()+u.reasoning.Len())/4 + 1
}

// endTurn says that the turn has ended and what it cost. prior is the number of tokens of the turns
// before, which count as read from the cache; input_tokens excludes them. A Usage step of the script
// replaces the estimate, once.
//
// It may be sent more than once, as servers do for sub-agents; clients add the numbers up.
func (u *updates) endTurn(prior int64) error {
	usage := script.Usage{
		Input:     int64(len(u.rec.Prompt))/4 + 1,
		CacheRead: prior,
		Output:    int64(u.answer.Len()+u.reasoning.Len())/4 + 1,
		Reasoning: int64(u.reasoning.Len()) / 4,
	}
	if u.usage != nil {
		// The script's numbers as they are, also if they don't add up: a client has to bear that.
		usage = *u.usage
	}
	u.ended, u.usage = true, nil
	return u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_TurnEnded{TurnEnded: &pb.TurnEnded{
		InputTokens: &usage.Input, OutputTokens: &usage.Output, CacheReadTokens: &usage.CacheRead, CacheWriteTokens: &usage.CacheWrite,
		ReasoningTokens: &usage.Reasoning,
	}}})
}
