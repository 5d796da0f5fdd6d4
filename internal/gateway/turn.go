package gateway

import (
	"context"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/gateway/control"
	"composer-api/internal/gateway/park"
	"composer-api/internal/store"
)

// A turn is one request being answered. It chooses the run that answers (a parked one, one that continues a conversation, a
// new one), passes the run's events to the answer, and then parks or closes the run.
//
// It owns the run while run is not nil: from resume or start until park or closeRun. One goroutine uses a turn, except that
// a timer accepts it while the run's first event is waited for.
//
//	claim ──► resume ────────┐                    ┌─ Done(calls): parked, no longer the turn's
//	recall ─► continueFrom ──┼─► pump ─► take ────┼─ Done: remembered, closed
//	neither ► startNew ──────┘     ▲              └─ error: closed
//	             ▲                 │                    │
//	             └─────────────────┴── startAgain ◄─────┘
//
//	method         does                                           leaves the run
//	claim          takes a parked run out of the lot              to resume
//	resume         hands it the results, and pumps                closed, or parked again
//	continueFrom   starts one with the new messages, and pumps    closed, or parked
//	startNew       starts one with all messages, and pumps        closed, or parked
//	startAgain     decides whether an error allows another run    no run is left then
//
// The order matters to cost alone, not to correctness: each later step sends more of the transcript again.
type turn struct {
	// g, backend and answer don't change. req does: a run that begins again gets a copy with another conversation id.
	g       *Gateway
	backend agent.Backend
	req     *agent.Request
	asked   *control.Turn // what req asks of its answer
	answer  *answer

	run *control.Run // nil when the turn owns none
	// wasted and charged are for the budgets: a turn is charged once, with all that its runs
	// have cost, those that failed included.
	wasted  agent.Usage   // of runs that have failed
	charged bool          // the turn's cost is booked
	from    agent.Resume  // what the run continues
	waited  time.Duration // how long it was parked
	parked  agent.Origin  // by which request
	empty   bool          // an earlier run of this turn has ended without an answer
	heard   bool          // the last run has begun to answer
	aloud   bool          // the client sends thinking back as text

	// session is the pinned session, as this turn has used it; nil when there is none.
	session *store.Session

	// newFrom, past and tools are computed from req once. req may be replaced later
	// (claimByTranscript, resetFor), but not by one with other tools or another number of messages.
	newFrom int       // index of the first message that is new since the model's last answer
	past    *digester // of the transcript without what is new
	tools   *Digest   // of the tools offered; nil until toolsDigest was asked
}

// newTurn makes the turn for req, and hashes its transcript. Nothing is started yet, so there is nothing to close. Errors are
// *agent.Error: about what req asks of the answer, or because a budget is spent.
//
// The transcript is hashed in one pass: the digester stops at newFrom for what upstream has
// seen (past), and goes on to the end for what the answer is added to.
func newTurn(g *Gateway, backend agent.Backend, req *agent.Request, sink agent.Sink) (*turn, error) {
	t := &turn{g: g, backend: backend, req: req, newFrom: agent.FirstNew(req.Messages)}
	seen := newDigester()
	seen.cache = g.digests
	account := control.Account{Key: req.Caller.Owner + "\x00" + req.Caller.KeyID, Price: catalog.Price(req.Model)}
	for i := range req.Messages[:t.newFrom] {
		seen.message(&req.Messages[i])
	}
	t.past = seen
	account.Conversation = t.billName(seen)
	t.answer = newAnswer(req, sink, t.asSent())
	var err error
	t.asked, err = g.layer.Turn(req, account)
	return t, err
}

// asSent is the digest of all that the client has sent, to which the answer is added.
func (t *turn) asSent() *digester {
	seen := t.past.clone()
	for i := range t.req.Messages[t.newFrom:] {
		seen.message(&t.req.Messages[t.newFrom+i])
	}
	return seen
}

// billName is what the conversation is called in the books of what was spent: its session, or
// else what was said in it up to now. It is "" for one that begins, and when nothing is booked.
// The result is compared with earlier ones only, in the ledger of control; nobody reads it.
//
// It is called while the transcript is hashed (answer is nil then) and again when the turn is over,
// when seen has the answer, too: this second name is the one under which the next request looks.
func (t *turn) billName(seen *digester) string {
	switch {
	case !t.g.layer.Budgeted(t.req):
		return ""
	case t.req.Session != "":
		return "session " + t.req.Session
	case t.newFrom == 0 && t.answer == nil:
		return ""
	}
	// Without the results of the last group, which a turn that ends in calls can't know yet.
	digest := seen.asked()
	return "said " + string(digest[:])
}

// do answers the request: claim or continue or start, pump, park or close. A run that was claimed or continued and fails
// before the client has got anything is replaced by a new one. So is, once in a turn, a run that ends without an answer, or in the
// middle of one of which the client has got nothing.
//
// At most four runs are tried: the claimed one, the continued one, a new one, and one more
// after an answer that was empty or broke off. Each is closed before the next is started.
func (t *turn) do(ctx context.Context) error {
	// Images come before the claim: if one can't be fetched, the parked run is still there when the
	// client comes back with a better URL.
	if err := t.fetchImages(ctx, lastGroup(t.req.Messages)); err != nil {
		return err
	}
	// supersede comes after claim, so that it does not end the run that was just claimed. It comes
	// before the answer, so that no run of the same conversation still waits while another goes on.
	w := t.claim()
	t.supersede()
	if w != nil {
		err := t.resume(ctx, w)
		if !t.startAgain(ctx, err) {
			return err
		}
	}
	if key, c := t.recall(ctx); c != nil {
		err := t.continueFrom(ctx, c)
		again := t.startAgain(ctx, err)
		if again || t.refusedForGood(err) {
			// The conversation has failed, and recall would find it again for the next request.
			t.memory().Forget(ctx, key)
		}
		if !again {
			return err
		}
	}
	err := t.startNew(ctx)
	if !t.startAgain(ctx, err) {
		return err
	}
	if err = t.startNew(ctx); err == nil || !t.otherRunMayEndBetter(agent.AsError(err)) {
		return err
	}
	// It broke off again. We have tried twice, so that clients should not do the same three times more.
	return agent.AsError(err).AsFinal()
}

// fetchImages prepares the images of the messages from an index on. What upstream has seen
// already needs no fetching, and a URL in an old message may no longer work. An image that
// can't be used is an error only if the user has just sent it. Fetching is done in place, so an
// image that was fetched for the claim is not fetched again for startNew.
func (t *turn) fetchImages(ctx context.Context, from int) error {
	if t.g.cfg.Images != nil {
		if err := t.g.cfg.Images.Fetch(ctx, t.req.Caller.Owner, t.req.Messages[from:]); err != nil {
			return err
		}
	}
	return agent.UnusableImage(t.req.Messages)
}

// toolsDigest identifies the tools that the model is offered. It is computed once: a turn that
// resumes a run and parks it again needs it twice. A request whose ToolChoice forbids tools
// counts as one without tools: see agent.Request.Offered.
func (t *turn) toolsDigest() Digest {
	if t.tools == nil {
		d := toolsDigest(t.req.Offered(), t.g.digests)
		t.tools = &d
	}
	return *t.tools
}

// resume gives a parked run its results, and passes its answer on. The run is closed when the turn ends, unless it is parked again.
//
// The run still has the limits and the request of the turn before; Begin gives it those of this
// one. Its results are looked up in the transcript by the ids that we have given to the calls.
func (t *turn) resume(ctx context.Context, w *waiting) error {
	t.run, t.from, t.waited, t.parked = w.run, agent.ResumeParked, time.Since(w.since), w.origin
	defer t.closeRun()
	req := *t.req
	req.Messages = agent.WithoutUnusable(req.Messages)
	t.run.Begin(t.asked, &req)
	results := resultsFor(w.calls, req.Messages)
	if req.RewritesCalls {
		tellRewritten(results, w.given, req.Messages)
	}
	if err := t.run.Resume(ctx, results); err != nil {
		return err
	}
	return t.pump(ctx)
}

// continueFrom sends the new messages to a conversation that upstream still has.
//
// Continue and New are set in a copy: when upstream has lost the conversation, startNew needs a
// request without them.
func (t *turn) continueFrom(ctx context.Context, c agent.Conversation) error {
	req := *t.req
	req.Continue, req.New = c, t.newFrom
	t.from, t.waited, t.parked = agent.ResumeMemory, 0, agent.Origin{}
	return t.start(ctx, req)
}

// startNew starts a run with the whole transcript. It always can: the request holds all that is needed.
//
// An image in an old message may be needed for the first time here, because the runs that were
// tried before had seen it. That is why the rest of the images is fetched only now.
func (t *turn) startNew(ctx context.Context) error {
	t.from, t.waited, t.parked = agent.ResumeNew, 0, agent.Origin{}
	if t.newFrom > 0 {
		t.from = agent.ResumeTranscript
	}
	if err := t.fetchImages(ctx, 0); err != nil {
		return err
	}
	return t.start(ctx, *t.req)
}

// start starts a run for req, and passes its answer on. The backend gets notes for images that can't be used; the turn
// goes on with what the client said.
func (t *turn) start(ctx context.Context, req agent.Request) error {
	req.Messages = agent.WithoutUnusable(req.Messages)
	run, err := t.g.layer.Start(ctx, t.asked, t.backend, &req)
	if err != nil {
		return err
	}
	t.run = run
	defer t.closeRun()
	return t.pump(ctx)
}

// closeRun closes the run if the turn still owns it. A run that is parked is not the turn's any more,
// and run is nil then. wasted takes what a run has cost that ends without end having charged it.
func (t *turn) closeRun() {
	if t.run == nil {
		return
	}
	t.run.Close()
	t.heard = t.run.Heard()
	if !t.charged {
		t.wasted = t.wasted.Plus(t.run.Spent())
	}
	t.run = nil
}

// accept tells the client that upstream has accepted the run.
func (t *turn) accept() error {
	how := agent.Accepted{Upstream: t.backend.Name(), Resume: t.from, Model: t.req.Model, Waited: t.waited, ParkedBy: t.parked}
	if t.run != nil { // it may be parked already
		how.ConversationID, how.System = t.run.ConversationID(), t.run.System()
	}
	return t.answer.accept(how)
}

// pump passes the run's events to the sink until the turn is over. It flushes whenever the next event isn't there yet, so that a
// burst costs one write and a single word goes out at once.
//
// Errors are those of the run (upstream's) and of the sink (the client's). Which it is does not
// matter here: both end the run, and turnError and startAgain tell them apart by their codes.
func (t *turn) pump(ctx context.Context) error {
	e, err := t.first(ctx)
	for ; err == nil; e, err = t.run.Next(ctx) {
		over, err := t.take(ctx, &e)
		if over || err != nil {
			return err
		}
		if !t.run.Buffered() {
			if err := t.answer.flush(); err != nil {
				return err
			}
		}
	}
	return err
}

// take handles one event. It reports whether the turn is over. The event's text is valid only until the run's next call.
//
// Usage is not passed on: there is one usage event in a turn, before its end, and end sends it.
// Calls go to the client at once, but the turn goes on until Done says that these were all.
func (t *turn) take(ctx context.Context, e *agent.Event) (over bool, err error) {
	switch e.Kind {
	case agent.Text, agent.Reasoning, agent.Refusal:
		return false, t.answer.piece(e.Kind, e.Text)
	case agent.Call:
		return false, t.answer.call(e.Call)
	case agent.UsageKind:
		t.answer.setUsage(*e.Usage)
	case agent.DoneKind:
		if e.Done.Reason == agent.ToolCalls {
			return true, t.finishWithCalls(ctx, e.Done)
		}
		return true, t.finish(ctx, e.Done)
	}
	return false, nil
}

// finish ends a turn whose run is done. The run stays the turn's, and is closed by who began it.
//
// context.WithoutCancel: the client may close the connection as soon as it has read the end, and the
// conversation is to be remembered all the same. The store's part is bounded by storeTimeout.
func (t *turn) finish(ctx context.Context, done *agent.Done) error {
	t.answer.over()
	if done.Conversation != nil {
		// Before the client learns that the turn is over, because its next request may come at once.
		digest := t.answer.seen.sum()
		if t.aloud {
			digest = t.answer.seen.aloudSum()
		}
		t.memory().Remember(context.WithoutCancel(ctx), t.memoryKey(digest), done.Conversation)
	}
	return t.end(*done)
}

// finishWithCalls parks the run and ends the turn.
//
// After Park the run belongs to the lot, and another goroutine may claim it at any moment. So
// nothing below that line touches the run, and accept, which end calls, must do without it.
func (t *turn) finishWithCalls(ctx context.Context, done *agent.Done) error {
	// A client that has left will not come back with results: the run is closed now, and not in
	// ten minutes.
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.answer.over()
	w := &waiting{
		run: t.run, backend: t.backend.Name(), model: t.req.Model.String(), tools: t.toolsDigest(), format: t.req.Format.ID(),
		seen: t.answer.seen.sum(), bare: t.answer.seen.bare(), aloud: t.answer.seen.aloudSum(), calls: t.answer.callIDs(), given: t.answer.calls, since: time.Now(), origin: t.req.Origin,
	}
	for i := range t.answer.seen.calls {
		c := t.answer.seen.calls[i]
		w.asked = append(w.asked, askedCall{callName{c.ID, c.Name}, c.asks()})
	}
	asked := t.answer.seen.asked()
	names := park.Names{Calls: w.calls, Transcript: string(asked[:]), Conversation: conversationOf(t.req, w.tools)}
	// Before the client learns that the turn is over, because its results may come at once.
	t.run = nil
	if t.session != nil {
		names.Session = sessionName(t.session.Key)
	}
	if t.g.cfg.Parked != nil {
		t.g.cfg.Parked(t.req.Caller.Owner, w.calls)
	}
	t.g.lot.Park(t.req.Caller.Owner, names, w)
	if t.session != nil {
		t.g.wait(t.req.Caller.Owner, t.session)
	}
	// From here on an error does not end the run. Codex closes the connection as soon as it has read
	// response.completed, so writing what comes after may fail although the client can resume. If it is
	// really gone, the run is ended by the lot's timeout.
	return t.end(*done)
}

// end sends the usage and the end of the turn. A turn whose first event is its end has not been accepted before.
//
// The charge comes before the last events: the client may not get those, but the tokens were used.
func (t *turn) end(done agent.Done) error {
	if err := t.accept(); err != nil {
		return err
	}
	usage := t.answer.usageOrEstimate()
	// Before the client learns that the turn is over, again.
	t.charged = true
	t.asked.Charge(t.billName(t.answer.seen), usage.Plus(t.wasted))
	return t.answer.end(usage, done)
}

// chargeFailure books what is known of the cost of a turn that has failed.
func (t *turn) chargeFailure() {
	if !t.charged {
		t.asked.Charge("", t.wasted)
	}
}

// memory is where this request's conversations are remembered.
func (t *turn) memory() Memory { return t.g.memoryFor(t.req) }

// memoryKey is the key of a conversation that has this transcript. The model is part of it:
// a client that changes the model goes on in another conversation upstream.
func (t *turn) memoryKey(transcript Digest) MemoryKey {
	return MemoryKey{
		Owner: t.req.Caller.Owner, Upstream: t.backend.Name(), Model: t.req.Model.String(),
		Session: t.req.Session, Transcript: transcript,
	}
}

// recall finds the conversation that ended with all but the new messages of this request. There can be one only when the last
// message before the new ones is an answer; results without new text belong to a parked run.
func (t *turn) recall(ctx context.Context) (MemoryKey, agent.Conversation) {
	if t.newFrom == 0 || t.newFrom == len(t.req.Messages) || t.req.Messages[t.newFrom-1].Role != agent.Assistant {
		return MemoryKey{}, nil
	}
	key := t.memoryKey(t.past.sum())
	c, ok := t.memory().Recall(ctx, key)
	if !ok {
		return MemoryKey{}, nil
	}
	return key, c
}
