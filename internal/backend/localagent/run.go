package localagent

import (
	"context"
	"errors"
	"sync"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/agentwire"
)

// A run is one conversation step upstream, over one stream or, after a broken connection, several.
//
// Who may call what: Next, Buffered and Resume are called by one goroutine at a time; Close may be called by any, at
// any time. Beside them the pacer calls ring, and the end of a turn's context calls interrupt. All of these take mu.
//
// Who closes what: the run owns its stream. Close, interrupt and the pacer close it; install closes the one before. A
// run that has ended by itself still needs Close.
//
// Who reads: a stream is read by one goroutine at a time, which has the reading role.
//
//	                        who has the role
//	a turn is under way     Next itself, so that a word costs no switch of goroutines
//	calls have come,        the background reader (readInBackground), because upstream
//	or the run is parked    goes on asking and sending heartbeats; it queues what it finds
//
// The background reader gives the role back when Next waits, something is queued and no call is open; when the queue
// is full; and at the end of the stream.
//
// Lock order: run.mu, then the mu of the pacer, the stream or the outbox. Nothing that holds
// one of those takes run.mu.
type run struct {
	// These are set once and need no lock. clock and wake are safe for concurrent use.
	backend *Backend
	ticket  *agentwire.Ticket // its tools are changed under mu
	life    context.Context   // ends with Close
	end     context.CancelFunc
	wake    chan struct{} // tells a waiting Next to look again
	clock   clock

	// These belong to whoever has the reading role. The background reader holds mu when it uses them, except for
	// message, which it reads into without.
	text, thinking agent.TextJoiner
	message        agentwire.ServerMessage // what was read last
	ahead          bool                    // message holds text that Buffered has read for Next
	meter          runMeter
	tries          tries
	turnEnded      bool // upstream has said on this stream that a turn has ended

	// mu protects what follows. It is never held while something waits for the network: putting into a stream's
	// outbox does not wait, reading and closing a stream may.
	mu           sync.Mutex
	stream       *stream // the current attempt; nil before the first. Changed by the reading role alone.
	tools        *toolset
	format       agent.FormatID // of the answer, as the model was told
	note         string         // for the model, with the next result
	alarm        alarm
	execs        execs
	calls        calls
	blobs        blobs
	checkpoint   []byte // the last that this run was given
	queue        queue  // what Next yields before anything else
	inBackground bool   // the background reader has the reading role
	waiting      bool   // Next waits for the queue
	broken       error  // the error with which the background reader, or Buffered, found the stream ended
	turnOver     bool   // Done{ToolCalls} was yielded and Resume has not been called
	over         error  // why there is nothing more to come
	watched      watch
}

// The states of a run:
//
//	              accepted           calls given           Resume
//	connecting ─────────► a turn ───────────────► parked ─────────► a turn
//	     ▲                  │  │                     │
//	     └── stream broke ──┘  │ Done{Stop}, error   │ Close, error
//	         (see tries)       ▼                     ▼
//	                         over: Next gives r.over, whatever happened

// newRun makes a run that has no stream yet. It renders the prompt, and keeps nothing of req but the caller's key. The
// caller closes the run.
//
// A continued conversation decides the way of the system text (native), whatever the request
// asks for: upstream has the conversation as it began.
func newRun(b *Backend, req *agent.Request) *run {
	r := &run{backend: b, tools: b.toolsets.of(req.Offered()), format: req.Format.ID(), wake: make(chan struct{}, 1)}
	r.life, r.end = context.WithCancel(context.Background())
	r.clock.begin()
	r.blobs.max = b.cfg.MaxBlobs
	// "" for a conversation that begins: NewTicket makes new ones.
	var id, blobKey string
	if from, ok := req.Continue.(*conversation); ok {
		id, blobKey = from.id, from.blobKey
		if req.NativeSystem != from.native {
			// A copy: the request is the gateway's.
			kept := *req
			kept.NativeSystem = from.native
			req = &kept
		}
		r.tries.from = from
		r.blobs.before, r.blobs.size = from.blobs, sizeBlobs(from.blobs)
	}
	r.ticket = agentwire.NewTicket(req, r.tools.Toolset, id, blobKey)
	r.tries.attempts = retry.New(b.jitter, b.cfg.Log, req.Origin.RequestID, req.Retried)
	r.tries.attempts.Told = req.Watcher
	r.meter.prompt = len(r.ticket.UserAction) + r.tools.Size()
	r.alarm.ring = r.ring
	return r
}

// These errors reach only a caller that breaks agent.Run's contract.
var (
	errDone    = &agent.Error{Code: agent.Internal, Err: errors.New("localagent: Next after the end of a run")}
	errMisused = &agent.Error{Code: agent.Internal, Err: errors.New("localagent: Next without Resume, or Resume without calls")}
)

// finishWithCalls ends the turn, so that the client runs its tools. From here on the background
// reader reads the stream, because upstream goes on sending while the run is parked. mu is
// held, and the caller or the background reader has the reading role. It is not called before
// all queued calls have been yielded, so the client has them all when Done comes.
func (r *run) finishWithCalls() {
	r.readInBackground()
	r.calls.given = 0
	r.finishTurn(r.meter.stopForTools(), agent.Done{Reason: agent.ToolCalls})
}

// finishWell ends the run after a complete answer. It ends the request body, queues what the joiners still hold, and
// makes the conversation for a later request, if there is a checkpoint and all of its blobs were kept. The caller has
// the reading role.
//
// The request body is finished and not closed, so that upstream sees a client that ends properly.
func (r *run) finishWell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stream.out.finish()
	for _, held := range []struct {
		kind agent.Kind
		text []byte
	}{{agent.Reasoning, r.thinking.Rest()}, {agent.Text, r.text.Rest()}} {
		if len(held.text) > 0 {
			r.queue.push(agent.Event{Kind: held.kind, Text: held.text})
		}
	}
	done := agent.Done{Reason: agent.Stop}
	if r.checkpoint != nil && !r.blobs.full {
		done.Conversation = newConversation(r.ticket.ConversationID, r.ticket.BlobKey, r.checkpoint, r.blobs.all(), r.NativeSystem())
	}
	r.finishTurn(r.meter.end(), done)
}

// finishTurn queues the end of a turn: the usage, then Done. mu is held.
func (r *run) finishTurn(usage agent.Usage, done agent.Done) {
	r.queue.push(agent.Event{Kind: agent.UsageKind, Usage: &usage})
	r.queue.push(agent.Event{Kind: agent.DoneKind, Done: &done})
}

// NativeSystem implements agent.SystemPrompted.
func (r *run) NativeSystem() bool { return r.ticket.System != "" }

// Adapt implements agent.Adaptable. Upstream learns of new tools when it asks for the request context or for the state of
// the MCP servers again, as it does when the model looks a tool up, and another attempt of the run sends them. The model is
// told with the first result, also of another form that its answer must have.
//
// What upstream has announced to the model before stays true for it until it asks again; a call
// of a tool that is gone is refused by callTool.
func (r *run) Adapt(req *agent.Request) bool {
	tools := r.backend.toolsets.of(req.Offered())
	r.mu.Lock()
	defer r.mu.Unlock()
	if tools != r.tools {
		r.note = agent.AddNote(r.note, agent.ToolsChanged(r.tools.Index(), req.Offered()))
		r.tools = tools
		r.ticket.SetTools(tools.Toolset)
	}
	r.note = agent.AddNote(r.note, agent.FormatChanged(r.format, &req.Format))
	r.format = req.Format.ID()
	return true
}

// Resume implements agent.Run. It sends the results and does not wait for upstream. A result for a call that upstream
// has aborted is dropped. Errors are *agent.Error; after one the run is over.
//
// What the stream did while the run was parked decides what Resume does:
//
//	it is still open                     the results are sent
//	it has ended with a whole answer     the results are dropped; Next gives the rest of the answer
//	it broke                             an error: a retry would have to make the calls again
//
// It waits for nothing: results go into the outbox, and whether upstream has got them shows in
// what it sends.
func (r *run) Resume(_ context.Context, results []agent.ToolResult) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over != nil:
		return r.over
	case !r.turnOver:
		return errMisused
	case r.broken != nil && r.endedWell(r.broken):
		// Upstream no longer wanted the results and has said everything: Next gives what it said.
		r.turnOver = false
		return nil
	case r.broken != nil:
		r.stopFor(r.withoutSecrets(failed(r.broken).Err))
		return r.over
	}
	r.recordOutput()
	r.tries.attempts.NextTurn()
	for i := range results {
		// None when upstream no longer wants it.
		for _, x := range r.execs.byCall(results[i].CallID) {
			note := r.note
			r.note = ""
			if !r.giveResult(x, &results[i], note) {
				r.stopFor(agent.Errorf(agent.Upstream, "The connection to Cursor broke."))
				return r.over
			}
		}
	}
	r.turnOver = false
	r.clock.restart()
	return nil
}

// Size implements agent.Sized. The tools are not counted: they are shared with other runs. Nor is what waits in the outbox, which
// is empty but for moments.
func (r *run) Size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blobs.size + len(r.checkpoint) + r.execs.size
}

// Close implements agent.Run. It resets the stream at once and ends a wait for another attempt. It may be called more
// than once and by any goroutine.
func (r *run) Close() error {
	r.end()
	r.mu.Lock()
	r.stopFor(errClosed)
	r.unwatch()
	s := r.stream
	r.mu.Unlock()
	if s != nil {
		s.close(errClosed)
	}
	return nil
}

// errClosed is how a run ends by Close, and the cause of closing a stream that was replaced.
var errClosed = &agent.Error{Code: agent.Canceled, Err: context.Canceled}

// stopFor ends the run with an error, unless it has ended. mu is held. The first reason counts.
// It closes no stream: that may wait, and mu is held.
func (r *run) stopFor(why error) {
	if r.over != nil {
		return
	}
	r.over = why
	r.wakeNext()
	r.backend.pacer.remove(&r.alarm)
}

// panicked ends the run because of a bug that was met in a goroutine where nobody waits for an error. Next gives it. The
// caller holds no lock.
func (r *run) panicked(err *agent.Error) {
	r.backend.cfg.Log.Error("a run panicked", "run", r.ticket.RunID, "err", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopFor(err)
}

// closeInBackground closes a stream in a goroutine of its own, because that may wait for the transport.
func (r *run) closeInBackground(s *stream, why error) {
	go func() {
		defer agent.CatchPanic(r.panicked)
		s.close(why)
	}()
}

// endError is the error that Next ends with; nil while the run goes on.
func (r *run) endError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}
