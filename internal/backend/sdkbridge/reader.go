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

// An attempt is one message sent to an agent: the agent, the stream, and the goroutine that reads it.
type attempt struct {
	run    *run
	agent  *bridgeAgent
	stream *sdkv1.Stream
	life   context.Context // of the stream
	stop   context.CancelFunc

	events chan said     // what the reader has read
	begun  chan struct{} // closed when the run's id is known, or never will be
	read   chan struct{} // closed when the reader has ended

	mu       sync.Mutex
	runID    string
	overOnce sync.Once
}

// A said is one thing that the stream says. One of its fields is set.
type said struct {
	kind      agent.Kind // of text
	text      string
	announced int
	result    *sdkv1.RunResult
	err       error
}

// ahead is how many events the reader may be ahead of the gateway. Then it stops reading, and the bridge stops sending.
const ahead = 64

// send sends message to the agent and begins to read. ctx bounds it until upstream has taken the run. The run of a is
// begun already; a failure ends it.
func send(ctx context.Context, r *run, a *bridgeAgent, message sdkv1.UserMessage) (*attempt, error) {
	at := &attempt{run: r, agent: a, events: make(chan said, ahead), begun: make(chan struct{}), read: make(chan struct{})}
	at.life, at.stop = context.WithCancel(context.Background())
	unwatch := context.AfterFunc(ctx, func() { at.stop() })
	stream, err := a.worker.child.Client.Send(at.life, a.id, message)
	if !unwatch() && err == nil { // ctx ended meanwhile, and the stream with it
		err = ctx.Err()
		stream.Close()
	}
	if err != nil {
		close(at.begun)
		close(at.read)
		at.finished(false)
		return nil, err
	}
	at.stream = stream
	go at.readAll()
	select {
	case <-at.begun:
	case <-ctx.Done():
		at.abandon()
		return nil, ctx.Err()
	}
	return at, nil
}

// readAll reads the stream to its end. It is the only reader, for the run's whole life.
func (at *attempt) readAll() {
	defer close(at.read)
	defer at.begin("")
	defer at.stream.Close()
	defer agent.CatchPanic(func(err *agent.Error) { at.tell(said{err: err}) })
	var result *sdkv1.RunResult
	var m sdkv1.Message
	for {
		err := at.stream.Next(&m)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && result != nil:
			// The agent is free for another run only now.
			at.tell(said{result: result})
			return
		case errors.Is(err, io.EOF):
			at.tell(said{err: io.ErrUnexpectedEOF})
			return
		default:
			at.tell(said{err: err})
			return
		}
		if m.Result != nil {
			result = &m.Result.Result
			if result.Status == "" {
				result.Status = m.Result.Status
			}
		}
		if m.SDKMessage != nil && m.SDKMessage.Message.RunID != "" {
			at.begin(m.SDKMessage.Message.RunID)
		}
		if m.InteractionUpdate != nil && !at.tell(read(m.InteractionUpdate)) {
			return
		}
	}
}

// read is what an update says; nothing if it is of a kind that doesn't matter here. The stream says each delta a second
// time, as an SDK message, which is passed over.
func read(u *sdkv1.InteractionUpdate) said {
	switch u.Type {
	case sdkv1.UpdateText:
		return said{kind: agent.Text, text: u.Update.Text}
	case sdkv1.UpdateThinking:
		return said{kind: agent.Reasoning, text: u.Update.Text}
	case sdkv1.UpdateToolRequests:
		return said{announced: u.Update.CallCount}
	}
	return said{}
}

// tell hands something to the run; false when nobody listens any more.
func (at *attempt) tell(s said) bool {
	if s == (said{}) {
		return true
	}
	select {
	case at.events <- s:
		return true
	case <-at.life.Done():
		return false
	}
}

// begin notes the id of the run, the first time.
func (at *attempt) begin(runID string) {
	at.mu.Lock()
	defer at.mu.Unlock()
	select {
	case <-at.begun:
	default:
		at.runID = runID
		close(at.begun)
	}
}

// finished ends the run of the agent. keep says that the agent can be continued. It returns how many runs the agent has
// had.
func (at *attempt) finished(keep bool) (runs int) {
	w := at.agent.worker
	w.mu.Lock()
	runs = at.agent.runs
	w.mu.Unlock()
	at.overOnce.Do(func() { w.end(at.agent, at.run, keep) })
	return runs
}

// abandon ends the run wherever it is: it is cancelled upstream at once, and nobody reads on. It returns when upstream
// has been told, so that held callbacks may be released after it.
func (at *attempt) abandon() {
	at.overOnce.Do(func() {
		at.cancel()
		at.agent.worker.end(at.agent, at.run, false)
	})
	at.stop()
	<-at.read
}

// cancelWait is how long a run that is given up may take to say its id, which it must be cancelled by.
const cancelWait = 2 * time.Second

func (at *attempt) cancel() {
	ctx, stop := context.WithTimeout(context.Background(), callTimeout)
	defer stop()
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
		return // it has never begun
	}
	w := at.agent.worker
	if err := w.child.Client.CancelRun(ctx, id, at.agent.id); err != nil && !w.gone() {
		w.log.Warn("a run of the bridge could not be cancelled", "err", callError(err))
	}
}
