package control

import (
	"context"
	"sync"
	"time"

	"composer-api/internal/agent"
)

// A Run is an agent.Run around the runs of a backend. What the client reads are its events.
//
// Who may call what is as in agent.Run: Next, Buffered, Begin and Resume are called by one goroutine at a time, Close
// and AcceptedAt by any. The Run owns the backend's run that it stands on, its inner run. An attempt to repair an answer
// puts another in its place; the one before is closed by then.
//
// Events come in from inner, and go out through out or, where a turn asks for nothing, unchanged:
//
//	inner ─► take ─┬─► passes as it is ──────────────────────────► Next
//	               ├─► held: text that waits for the turn's end    ▲
//	               ├─► calls: calls that wait, or were refused     │
//	               └─► out, a queue ───────────────────────────────┘
//
// The states of a Run, and who moves it on. Start, Begin, Next and Resume are the gateway's
// turn; Close is anybody's:
//
//	state     inner                     left by
//	new       nil                       Start: open, or the error of the backend
//	open      yields events             Next: done → given, another attempt → open with another inner
//	given     waits for results         Begin and then Resume → open; Close
//	over      has ended                 Close alone
//	closed    closed                    nothing: Next and Resume return inner's error
//
// Which end of an inner turn leads to which of these, the table of the package comment says.
type Run struct {
	layer   *Layer
	backend agent.Backend
	life    context.Context // ends with Close
	end     context.CancelFunc

	// mu guards changes of inner and what follows it. Next's goroutine alone changes inner, so it reads it without mu.
	// mu is never held while something waits.
	mu       sync.Mutex
	inner    agent.Run // nil before the first start
	started  time.Time // when inner was; zero while another is being started
	isClosed bool
	// hasSystem says that the request of this turn has system text.
	hasSystem bool

	// The rest belongs to the goroutine that calls Next and Resume.

	// turn and req are of the client's newest request: Begin replaces both. req grows when the model
	// is told something (repair, startWithResults), in a copy: the gateway's request stays as it is.
	turn  *Turn
	req   *agent.Request // what the backend was asked last, or would be asked: the conversation so far
	asked *agent.Request // what the inner run was started with
	heard bool           // the inner run has yielded something
	told  bool           // the inner run continues a conversation for a message of ours; see lost
	// suspected says that the run was refused, maybe because of its system prompt; see withoutNative.
	suspected bool
	pass      bool // text and thinking need no look: nothing is held back or cut in this turn
	isCut     bool // the turn was ended at a limit of the client's
	shown     bool // the client has got text in this turn; known only without pass

	// out has what take has made of inner's events. Next empties it before it asks inner again.
	out   queue
	held  []byte // text that waits for the turn's end, or for a call; see holds
	spoke bool   // the model has written text or called a tool in this turn; thinking alone is no answer
	said  int    // bytes of text, thinking and arguments of the inner turn, for when upstream says no usage

	calls   calls
	written written

	narration   narration
	corrections int          // in this turn; see correct
	streak      streak       // of equal calls, up to now
	counted     bool         // streak takes the transcript in; it does from the turn's first call on
	usage       agent.Usage  // of this turn's attempts before the present one
	last        *agent.Usage // what upstream said of the present one; nil until it has
}

// Start starts a run for req on backend, under turn. ctx bounds Start alone. The caller closes the run. Errors are those
// of backend.Start.
//
// req may carry Continue; a repair later sets its own. The system text's way is decided here
// for the first time (native) and may be changed once by upstream's refusal (withoutNative).
func (l *Layer) Start(ctx context.Context, turn *Turn, backend agent.Backend, req *agent.Request) (*Run, error) {
	r := &Run{layer: l, backend: backend}
	r.life, r.end = context.WithCancel(context.Background())
	r.Begin(turn, req)
	if err := r.start(ctx, req); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// Begin says whose turn comes next: the request whose results Resume will bring. turn is new; req is kept until the next
// Begin, and must not be changed. Without Begin between two turns the limits of the first would go on.
//
// It resets what belongs to one turn. What stays is what reaches over turns: inner, calls that
// wait for their turn to be given, results that are in, and calls that the model wrote as text.
func (r *Run) Begin(turn *Turn, req *agent.Request) {
	r.turn, r.req, r.told = turn, req, false
	r.mu.Lock()
	r.hasSystem = req.SystemText() != ""
	r.mu.Unlock()
	r.watchNarration()
	r.pass = !turn.limited() && !turn.mustCall() && !turn.mustBeJSON() && !r.narration.on
	r.held, r.spoke, r.said, r.isCut, r.shown = nil, false, 0, false, false
	r.usage, r.last = agent.Usage{}, nil
	r.readMarkup()
	r.calls.begin()
	r.streak, r.counted, r.corrections = streak{}, false, 0
}

// start makes a new inner run, in place of the one before, which it closes first. Close
// may come at any moment, also while the backend starts; then the new run is closed, too, and the error is Canceled.
func (r *Run) start(ctx context.Context, req *agent.Request) error {
	asked := *req
	asked.NativeSystem = r.layer.native(r.backend, req)
	err := r.open(ctx, &asked)
	if err != nil && r.withoutNative(err) {
		return r.openWithoutNative(ctx)
	}
	return err
}

// openWithoutNative starts the run again that upstream has refused because of its system prompt. A conversation that has one
// can't be continued without.
func (r *Run) openWithoutNative(ctx context.Context) error {
	asked := *r.asked
	asked.NativeSystem, asked.Continue, asked.New = false, nil, 0
	return r.open(ctx, &asked)
}

// open starts an inner run for a request as the backend gets it.
//
// The lock is taken twice and not held while the backend starts, which may take seconds: Close
// and AcceptedAt must not wait for that. Close in between is noticed in two ways: life is done,
// which ends Start's context, and isClosed is true when Start has returned all the same.
func (r *Run) open(ctx context.Context, req *agent.Request) error {
	r.asked, r.heard = req, false
	r.mu.Lock()
	// The run before is closed first: upstream would otherwise carry out both.
	before := r.inner
	r.started = time.Time{}
	r.mu.Unlock()
	if before != nil {
		_ = before.Close()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	inner, err := r.backend.Start(ctx, req)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inner, r.started = inner, time.Now()
	if r.isClosed {
		_ = inner.Close()
		return &agent.Error{Code: agent.Canceled, Err: errClosed}
	}
	return nil
}

// Next implements agent.Run. The text of the event is valid until the next call of Next.
//
// The loop goes on as long as an inner event gives the client nothing: text that is held back,
// a call that waits, the end of an attempt that is followed by another.
func (r *Run) Next(ctx context.Context) (agent.Event, error) {
	for {
		if e, ok := r.out.pop(); ok {
			return e, nil
		}
		e, err := r.inner.Next(ctx)
		switch {
		case err == nil:
		case r.withoutNative(err):
			if err = r.openWithoutNative(ctx); err == nil {
				continue
			}
		case r.lost(err):
			if err = r.carryOn(ctx, nil, 0); err == nil {
				continue
			}
		}
		if err != nil {
			return agent.Event{}, err
		}
		// take may change e: it cuts the text of it.
		passes, err := r.take(ctx, &e)
		if err != nil {
			return agent.Event{}, err
		}
		if passes {
			return e, nil
		}
	}
}

// take handles an event of the inner run. It reports whether the event, which it may have changed, passes as it is; what
// else is to be given is in the queue then.
//
// The switch is the whole of what happens to an event:
//
//	text, with a marker of a call in it   the markup filter, which calls text and writtenCall
//	text or thinking, nothing to check    passes
//	text or thinking                      piece: limits, and holding back
//	a call                                call: fit, guard, give or hold
//	usage                                 kept; finish gives it once
//	done                                  done: the table in the package comment
func (r *Run) take(ctx context.Context, e *agent.Event) (passes bool, err error) {
	// The first thing that the model says: upstream has taken the run as it was asked for.
	if !r.heard && e.Kind != agent.UsageKind {
		r.heard = true
		r.confirm()
	}
	switch e.Kind {
	case agent.Text, agent.Reasoning:
		r.spoke = r.spoke || e.Kind == agent.Text
		r.said += len(e.Text)
		switch {
		case e.Kind == agent.Text && r.written.hasMarkup(e.Text):
			r.written.filter.Write(e.Text)
			return false, r.written.err
		case r.pass:
			return true, nil
		}
		e.Text = r.piece(e.Kind, e.Text)
		return len(e.Text) > 0, nil
	case agent.Call:
		r.spoke = true
		r.said += len(e.Call.Arguments)
		return false, r.call(*e.Call)
	case agent.UsageKind:
		usage := *e.Usage
		r.last = &usage
	case agent.DoneKind:
		if err := r.endMarkup(); err != nil {
			return false, err
		}
		return false, r.done(ctx, e.Done)
	}
	return false, nil
}

// done handles the end of the inner run's turn. See the package comment for the table.
//
// An error here ends the run; nil means that either out has the end of the turn, or another
// attempt is under way and Next reads on.
func (r *Run) done(ctx context.Context, done *agent.Done) error {
	if r.isCut {
		return nil // by the last of the text that was kept
	}
	called := len(r.calls.given) > 0
	if done.Reason != agent.ToolCalls && len(r.written.calls) > 0 {
		r.written.over, r.written.from = true, done.Conversation
		_ = r.inner.Close() // it has said everything, and may have to wait for long
	}
	switch {
	case !called && len(r.calls.refused) > 0:
		return r.correct(ctx)
	case called || done.Reason == agent.ToolCalls:
		r.release()
		r.finish(agent.Done{Reason: agent.ToolCalls})
		return nil
	case !r.spoke:
		return ErrEmpty
	case r.turn.mustCall():
		return r.withoutCall(ctx, done)
	case r.turn.mustBeJSON():
		return r.finishJSON(ctx, done)
	}
	return r.finishText(ctx, done)
}

// finishText ends a turn with the text that was held back, as the possible beginning of a call or of a stop text. That may be
// over the token limit. A call that is told of gets another attempt, which may follow text that was given.
func (r *Run) finishText(ctx context.Context, done *agent.Done) error {
	if n := &r.narration; n.on {
		// The text is not given: the model is asked for the call itself, once.
		if name, ok := narratedCall(string(n.text), r.turn.req.Offered()); ok {
			r.held = n.text
			return r.repair(ctx, agent.RepairToolChoice, done, makeTheCall(name))
		}
		if n.deciding {
			n.on = false
			r.text(n.text)
			if r.isCut {
				return nil
			}
		}
	}
	rest, cut := r.turn.text.rest()
	r.out.text(agent.Text, rest)
	if cut != 0 {
		done = &agent.Done{Reason: cut}
	}
	r.finish(*done)
	return nil
}

// finish gives the usage, as far as upstream has said it, and the end of the turn. It only puts
// events into the queue; the gateway parks or closes the run when it reads the end.
func (r *Run) finish(done agent.Done) {
	if usage, known := r.spent(); known {
		r.out.push(agent.Event{Kind: agent.UsageKind, Usage: &usage})
	}
	done.Repairs = r.turn.repairs
	r.out.push(agent.Event{Kind: agent.DoneKind, Done: &done})
}

// Heard reports whether upstream has begun to answer: with text, thinking or a call, given or held.
func (r *Run) Heard() bool { return r.heard }

// Buffered implements agent.Run. While text is held back the inner run may have much that gives nothing, so it counts as
// empty.
func (r *Run) Buffered() bool {
	return r.out.len() > 0 || !r.holds() && !r.narration.deciding && r.inner.Buffered()
}

// Resume implements agent.Run. Begin comes before it. A call that waited its turn is given without asking upstream. Calls that
// were refused get our own results, beside the client's.
//
// A client that takes one call at a time comes here once for each of several parallel calls. Upstream waits
// for all their results together, so they are collected (calls.answered) until no call waits any more.
func (r *Run) Resume(ctx context.Context, results []agent.ToolResult) error {
	if r.calls.resume(results) {
		for _, c := range r.calls.takeWaiting() {
			if r.giveOrHold(c) {
				return nil // what else waited is lost with the run
			}
		}
		r.finish(agent.Done{Reason: agent.ToolCalls})
		return nil
	}
	all := r.calls.takeAnswered()
	if refused := r.calls.takeRefused(); len(refused) > 0 {
		r.turn.repairing(agent.RepairArguments)
		all = append(all, refused...)
	}
	return r.deliver(ctx, all)
}

// Adapt implements agent.Adaptable. Calls that the client has not been given yet, and can't run any more, are answered
// for it. A backend's run that can't adapt goes on as long as its calls are of tools that are still offered.
//
// When it reports false the caller closes the run and starts a new one from the transcript; see
// claim in package gateway.
func (r *Run) Adapt(req *agent.Request) bool {
	r.calls.withdraw(req.Offered())
	if inner, ok := r.inner.(agent.Adaptable); ok {
		return inner.Adapt(req)
	}
	return agent.StillOffered(r.calls.tools, req.Offered())
}

// Close implements agent.Run. It may be called by any goroutine, more than once, and also while
// a start is under way, which it ends. end comes first: a start that waits for upstream gives
// up at once.
func (r *Run) Close() error {
	r.end()
	r.mu.Lock()
	r.isClosed = true
	inner := r.inner
	r.mu.Unlock()
	if inner == nil {
		return nil
	}
	return inner.Close()
}

// ConversationID implements agent.Identified; it is "" when the backend's run can't tell.
func (r *Run) ConversationID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if inner, ok := r.inner.(agent.Identified); ok {
		return inner.ConversationID()
	}
	return ""
}

// Size implements agent.Sized. What the request itself keeps is not counted: it is mostly the
// client's transcript, which the parked run needs only until the next request brings it again.
func (r *Run) Size() int {
	size := r.calls.size()
	if r.written.from != nil {
		size += r.written.from.Size()
	}
	if inner, ok := r.inner.(agent.Sized); ok {
		size += inner.Size()
	}
	return size
}

// AcceptedAt implements agent.Retrying. A run that never begins again by itself was accepted when it was started.
func (r *Run) AcceptedAt() time.Time {
	r.mu.Lock()
	inner, started := r.inner, r.started
	r.mu.Unlock()
	if retrying, ok := inner.(agent.Retrying); ok && !started.IsZero() {
		return retrying.AcceptedAt()
	}
	return started
}
