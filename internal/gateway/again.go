package gateway

import (
	"context"
	"errors"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/control"
)

// This file decides whether a turn whose run has failed may try another one.

// startAgain reports whether the turn may start from the transcript after its run has failed with err: once after a run that it
// continued and of which the client has got nothing, once after a new one that broke off in the middle of an answer of which the client
// has got nothing, and once after one that has ended without an answer. In all of them the client may have got thinking.
//
// A refusal counts, too: it may be meant for the old conversation or the old token only. So the new run gets a conversation id
// that upstream has not seen, unless upstream has merely lost the conversation. A limit that is real refuses the new run as
// well, and that error is the answer.
//
// The table, where "continued" is a run from claim or recall, and "shown" is any text or call that the client got. Thinking doesn't
// count: that of the next run follows it. An answer that goes out in one piece at its end is not shown before (agent.Rewinder).
//
//	the error                          shown      continued    what follows
//	the client has left                any        any          nothing: the turn ends
//	no answer (control.ErrEmpty)       any        any          another run, once in a turn
//	any other                          yes        any          the error is the client's
//	of a code in the table otherRun    no         yes          another run, as the table says
//	a connection that broke off        no         no           another run, if the answer had begun; do tries one alone
//	any other                          no         no           the error is the client's
func (t *turn) startAgain(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	// Before the table: the client may have got thinking, which a second answer may repeat.
	if errors.Is(err, control.ErrEmpty) {
		if t.empty {
			return false
		}
		t.empty = true
		t.resetFor(ctx, err)
		return true
	}
	if !t.otherRunMayEndBetter(agent.AsError(err)) || !t.answer.takeBack(t.asSent) {
		return false
	}
	t.resetFor(ctx, err)
	return true
}

// otherRunMayEndBetter reports whether it is worth while to begin again after e.
//
// A new run whose start has failed was tried again by its backend, which doesn't do so once there is output: it can't know what
// the client has got. A time-out of ours is not repeated: the client has waited for half a minute or more.
func (t *turn) otherRunMayEndBetter(e *agent.Error) bool {
	if t.from == agent.ResumeNew || t.from == agent.ResumeTranscript {
		return t.heard && !e.Final && (e.Code == agent.Upstream || e.Code == agent.Overloaded)
	}
	when := otherRun[e.Code]
	return when == always || when == unlessFinal && !e.Final
}

// When another run may end better than one that was continued. An error is final (agent.Error.Final) when whoever gave it has
// tried often enough, or will not change its mind.
type when uint8

const (
	// never is the zero value: a code that isn't in the table.
	never       when = iota
	always           // a final error leaves the other run one attempt
	unlessFinal      // a final error is the answer
)

// otherRun says it for each code; one that isn't here would come again.
//
// What is wrong with a conversation, or with the way to it, may be right with a new one. What is wrong with an account is wrong
// with every run of it, and Cursor's bridge has asked for a quarter of a minute before it says so for good: another run would
// only make the user wait as long again. A budget of ours that is spent is final, too, and must not be spent twice.
var otherRun = map[agent.Code]when{
	agent.ConversationLost: always,
	agent.Canceled:         always, // not by this client, who is still there: the run ended while it was parked
	agent.Internal:         always,
	agent.Upstream:         always,
	agent.UpstreamTimeout:  always,
	agent.Overloaded:       always,
	agent.ContextTooLong:   always,
	agent.InvalidValue:     always,

	agent.RateLimited:      unlessFinal,
	agent.QuotaExceeded:    unlessFinal,
	agent.PaymentRequired:  unlessFinal,
	agent.InvalidKey:       unlessFinal,
	agent.PermissionDenied: unlessFinal,
}

// refusedForGood reports whether upstream has refused a continued conversation with an error that is the turn's answer. It may
// have meant that conversation alone, so the client's next request must not meet it again.
func (t *turn) refusedForGood(err error) bool {
	if err == nil || t.answer.answered {
		return false
	}
	e := agent.AsError(err)
	return e.Final && e.Limit == "" && otherRun[e.Code] == unlessFinal
}

// resetFor prepares the turn for another run after err. Unless upstream has merely lost the conversation, the new run gets a new
// conversation id. After a final error the new run has one attempt: retries were made in this turn, by us or by Cursor's
// bridge, and nobody is to wait twice as long for the same error. An answer that was empty is no such error.
//
// The log's line has no content: how the run began, and the error, whose words are ours or upstream's.
func (t *turn) resetFor(ctx context.Context, err error) {
	t.g.cfg.Log.InfoContext(ctx, "starting again from the transcript", "id", t.req.Origin.RequestID, "was", string(t.from), "err", err)
	t.answer.restart()
	t.asked.Renew()
	if !t.answer.emitted { // thinking that the client has got still counts against its limits
		t.asked.Restart()
	}
	if agent.CodeOf(err) != agent.ConversationLost {
		req := *t.req // a backend may still look at the old one
		req.Retried = agent.AsError(err).Final && !errors.Is(err, control.ErrEmpty)
		if session := t.g.repin(ctx, &req); session != nil {
			t.session = session
		}
		t.req = &req
	}
}
