package sdkbridge

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/sdkv1"
)

// One run on a bridge, from sending the message to the end of its stream. Two goroutines work
// on it: the reader (readAll), which only reads and hands over; and the run's (run.go), which
// decides. Who may end it is told at attempt.

// An attempt is one message sent to an agent: the agent, its bridge, the stream, and the goroutine that reads it.
//
//	state      left by
//	begun open       begin(id): upstream has taken the run; begin(error): Send has failed
//	being read       the result, an error, tell's false when nobody listens
//	over             overOnce: exactly one of finished and end does what there is to do
//
// The reader never waits for the run without also watching life, so stop always ends it.
type attempt struct {
	// run, agent and worker don't change; life ends with stop.
	run    *run
	agent  *bridgeAgent
	worker *worker
	life   context.Context // of the stream
	stop   context.CancelFunc

	events chan streamEvent // what the reader has read
	begun  chan struct{}    // closed when the run's id is known, or never will be
	read   chan struct{}    // closed when the reader has ended

	mu sync.Mutex
	// runID is upstream's; "" until Send has been answered.
	runID string
	err   error // of Send; valid when begun is closed

	overOnce sync.Once
	canceled bool // the run has ended upstream, or its bridge has; valid after overOnce
	over     bool // the same as overOnce; guarded by Backend.mu
	parked   bool // the run waits for its client; guarded by Backend.mu
}

// A streamEvent is one thing that the stream says. One of its fields is set, or kind with text. It is
// a value, so that a piece of text costs no allocation but its string's.
type streamEvent struct {
	kind      agent.Kind // of text
	text      string
	tokens    int    // so many more were written
	announced int    // so many calls will come
	started   string // upstream's id of a call that the model makes
	completed string // the same of one that has got its result
	anew      bool   // the bridge asks upstream again: what was said comes once more
	result    *sdkv1.RunResult
	err       error
}

// ahead is how many events the reader may be ahead of the gateway. Then it stops reading, and the bridge stops sending.
// The bound makes a slow client slow the model, and not this process's memory grow.
const ahead = 64

// begin sends message to the agent and begins to read. ctx bounds it until upstream has taken the run. r is the agent's run
// already; a failure ends that.
//
// Once it has returned without an error, the run owns the attempt and ends it: by finish,
// broken or Close. An error that is ctx's leaves nothing behind: the run was ended upstream as
// far as that is possible.
func begin(ctx context.Context, r *run, a *bridgeAgent, w *worker, message sdkv1.UserMessage) (*attempt, error) {
	r.backend.mu.Lock()
	a.runs++
	r.backend.mu.Unlock()
	at := &attempt{run: r, agent: a, worker: w, events: make(chan streamEvent, ahead), begun: make(chan struct{}), read: make(chan struct{})}
	// Not of ctx, which is one turn's: the stream lives through all turns of the run.
	at.life, at.stop = context.WithCancel(context.Background())
	go at.readAll(message)
	select {
	case <-at.begun:
	// The client has left before the run had an id. abandon waits a moment for it, since only by it
	// the run can be cancelled.
	case <-ctx.Done():
		at.abandon()
		return nil, ctx.Err()
	}
	at.mu.Lock()
	err := at.err
	at.mu.Unlock()
	if err != nil {
		at.end(false)
		at.stop()
		return nil, err
	}
	return at, nil
}

// errAnew is the error of a run that upstream has begun again after there was output. The bridge does so by itself when
// its connection breaks, and passes what the model says then on as if it were new: it repeats the answer, in other words
// perhaps, and makes its calls again. Nothing tells whether it resumes from a checkpoint.
var errAnew = &agent.Error{Code: agent.Upstream, Message: "The connection to Cursor broke in the middle of the answer. Please try again."}

// readAll sends the message and reads the stream to its end. It is the only reader, for the run's whole life.
//
// The result alone is not the end: the bridge goes on with the stream until the agent is free,
// so the result is told when the stream has ended. A panic in it becomes an error of the run.
func (at *attempt) readAll(message sdkv1.UserMessage) {
	defer close(at.read)
	defer agent.CatchPanic(func(err *agent.Error) {
		at.begin("", err)
		at.tell(streamEvent{err: err})
	})
	// It returns when the bridge has answered with its header, which says nothing of Cursor yet.
	stream, err := at.worker.bridge.Client().Send(at.life, at.agent.id, message)
	if err != nil {
		at.begin("", err)
		return
	}
	// When the stream ends without a word of the run's id, whoever waits for it must not wait for
	// ever.
	defer at.begin("", nil)
	defer stream.Close()
	var result *sdkv1.RunResult
	var m sdkv1.Message
	step := 0
	for {
		err := stream.Next(&m)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && result != nil:
			// The agent is free for another run only now.
			at.tell(streamEvent{result: result})
			return
		case errors.Is(err, io.EOF):
			at.begin("", io.ErrUnexpectedEOF)
			at.tell(streamEvent{err: io.ErrUnexpectedEOF})
			return
		default:
			at.begin("", err)
			at.tell(streamEvent{err: err})
			return
		}
		// Versions of the bridge have the status in one of two places.
		if m.Result != nil {
			result = &m.Result.Result
			if result.Status == "" {
				result.Status = m.Result.Status
			}
		}
		if m.SDKMessage != nil && m.SDKMessage.Message.RunID != "" {
			at.begin(m.SDKMessage.Message.RunID, nil)
		}
		if m.InteractionUpdate == nil {
			continue
		}
		s := read(m.InteractionUpdate, &step)
		if s.anew && at.run.spoken.Load() {
			at.end(true) // now, and not when the client comes back: a parked run may be read much later
			s = streamEvent{err: errAnew}
		}
		if !at.tell(s) || s.err != nil {
			return
		}
	}
}

// read is what an update says; nothing if it is of a kind that doesn't matter here. step is the
// number of the last step, which it keeps. The stream says each delta a second time, as an SDK
// message, which is passed over. A number below 0 counts as 0, because it comes from the wire.
func read(u *sdkv1.InteractionUpdate, step *int) streamEvent {
	switch u.Type {
	case sdkv1.UpdateText:
		return streamEvent{kind: agent.Text, text: u.Update.Text}
	case sdkv1.UpdateThinking:
		return streamEvent{kind: agent.Reasoning, text: u.Update.Text}
	case sdkv1.UpdateTokens:
		return streamEvent{tokens: max(0, u.Update.Tokens)}
	case sdkv1.UpdateToolRequests:
		return streamEvent{announced: max(0, u.Update.CallCount)}
	case sdkv1.UpdateToolStarted:
		return streamEvent{started: u.Update.CallID}
	case sdkv1.UpdateToolCompleted:
		return streamEvent{completed: u.Update.CallID}
	case sdkv1.UpdateStepStarted:
		// Steps are numbered from 1 upwards. A number that was there before means that the bridge
		// began once more.
		anew := *step > 0 && u.Update.StepID <= *step
		*step = u.Update.StepID
		return streamEvent{anew: anew}
	}
	return streamEvent{}
}

// tell hands something to the run; false when nobody listens any more. What says nothing is passed
// over. It waits while the gateway is behind by ahead events, until the attempt is stopped.
func (at *attempt) tell(s streamEvent) bool {
	if s == (streamEvent{}) || s.kind != 0 && s.text == "" {
		return true
	}
	select {
	case at.events <- s:
		return true
	case <-at.life.Done():
		return false
	}
}

// begin notes the id of the run, or the error of Send, the first time. A second call changes
// nothing: the id may come many times.
func (at *attempt) begin(runID string, err error) {
	at.mu.Lock()
	defer at.mu.Unlock()
	select {
	case <-at.begun:
	default:
		at.runID, at.err = runID, err
		close(at.begun)
	}
}

// finished notes that the run has ended well upstream, and returns how many runs the agent has
// had. An attempt that was ended otherwise stays ended, and its agent can't be continued.
func (at *attempt) finished() (runs int) {
	at.overOnce.Do(func() {
		at.canceled = true
		at.letGo(true)
	})
	b := at.run.backend
	b.mu.Lock()
	defer b.mu.Unlock()
	return at.agent.runs
}

// end ends the run wherever it is, once. cancel says that it may still be on upstream: it is cancelled there at once.
func (at *attempt) end(cancel bool) {
	at.overOnce.Do(func() {
		// cancel talks to the bridge and may take seconds; mu isn't held meanwhile.
		at.canceled = !cancel || at.cancel()
		at.letGo(false)
	})
}

// letGo lets go of the agent and of the bridge. keep says that the agent can be continued.
// Backend.mu is taken here, so the caller must not hold it.
func (at *attempt) letGo(keep bool) {
	b := at.run.backend
	b.mu.Lock()
	defer b.mu.Unlock()
	at.worker.park(at, false)
	at.over = true
	b.letGo(at.agent, at.worker, at.run, keep)
}

// park notes that the run begins or ends to wait for its client. An attempt that is over is not
// parked any more, whoever comes later.
func (at *attempt) park(parked bool) {
	b := at.run.backend
	b.mu.Lock()
	defer b.mu.Unlock()
	if !at.over {
		at.worker.park(at, parked)
	}
}

// abandon ends the run, and nobody reads on. It reports whether the run is known to have ended upstream,
// so that held calls may be answered. It waits for the reader to end, which stop makes it do at once.
func (at *attempt) abandon() bool {
	at.end(true)
	at.stop()
	<-at.read
	return at.canceled
}

// cancelWait is how long a run that is given up may take to say its id, which it must be cancelled by.
const cancelWait = 2 * time.Second

// cancel ends the run upstream. It reports whether that has succeeded.
//
// False means that the run may still be on upstream. Then its held calls must not be answered:
// what they answered would reach the model. It may take cancelWait and callTimeout together.
func (at *attempt) cancel() bool {
	timer := time.NewTimer(cancelWait)
	defer timer.Stop()
	select {
	case <-at.begun:
	case <-timer.C:
	}
	at.mu.Lock()
	id := at.runID
	at.mu.Unlock()
	if id == "" {
		return true // it has never begun, so there is no call to answer either
	}
	ctx, stop := context.WithTimeout(context.Background(), callTimeout)
	defer stop()
	w := at.worker
	err := w.bridge.Client().CancelRun(ctx, id, at.agent.id)
	if err != nil && !w.gone() {
		w.backend.cfg.Log.Warn("a run of the bridge could not be cancelled", "err", failed(err).Err)
		return false
	}
	return true
}
