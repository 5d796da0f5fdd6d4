package control

import (
	"context"
	"slices"

	"composer-api/internal/agent"
)

// repair lets the model try again: it tells it, as the user's next message, what was wrong with the answer that ended in
// done. The message is all that upstream is sent, in the conversation that it still has. Only where upstream keeps no
// conversation, the whole transcript goes with it, as with every message there.
//
// The new attempt has the whole token limit for itself, unless the client has a part of the answer already. Errors are
// *agent.Error, and end the turn: the caller must not call repair again for the same reason.
//
// What upstream is sent, where it still has the conversation (done.Conversation):
//
//	user (ours)    what was wrong, and what to do
//
// The model's own answer is in upstream's conversation already. In r.req it is added before our
// message, for the case that the transcript has to be sent whole.
func (r *Run) repair(ctx context.Context, why agent.Repair, done *agent.Done, message string) error {
	if err := r.turn.bill.check(r.usage.Plus(r.attempt())); err != nil {
		return err
	}
	r.endAttempt(why)
	answer := agent.Message{Role: agent.Assistant}
	if len(r.held) > 0 {
		answer.Parts = []agent.Part{{Text: string(r.held)}}
	}
	r.held, r.spoke = nil, false
	if !r.shown {
		r.turn.Restart()
	}
	r.narration = narration{}

	req := *r.req
	req.Messages = append(slices.Clip(req.Messages), answer, agent.Message{Role: agent.User, Parts: []agent.Part{{Text: message}}})
	r.req = &req
	return r.carryOn(ctx, done.Conversation, len(req.Messages)-1)
}

// carryOn starts the next inner run: with the messages of r.req from fresh on, where upstream
// has the conversation, else with all of them. from may be nil. That upstream has lost the
// conversation is no error here: all messages are sent once more.
func (r *Run) carryOn(ctx context.Context, from agent.Conversation, fresh int) error {
	req := *r.req
	req.Continue, req.New = from, fresh
	if from == nil {
		req.New = 0
	}
	err := r.start(ctx, &req)
	r.told = err == nil && from != nil
	if from == nil || agent.CodeOf(err) != agent.ConversationLost {
		return err
	}
	return r.carryOn(ctx, nil, 0)
}

// lost reports whether err says that upstream has lost the conversation in which the model was told something, before it has
// answered that. Then all messages are sent once more, ours among them: nobody but this Run knows of it.
func (r *Run) lost(err error) bool {
	return r.told && !r.heard && agent.CodeOf(err) == agent.ConversationLost
}
