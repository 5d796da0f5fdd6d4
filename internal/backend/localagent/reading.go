package localagent

import (
	"bytes"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/pb"
)

// Reading a stream, and what each message leads to. Whoever calls these functions has the reading
// role (see run): Next, or the background reader while calls are open or the run is parked.
//
//	a message              becomes                               in
//	text, thinking         an event                              delta
//	checkpoint             r.checkpoint                          handleLocked
//	interaction update     what the run knows of the step        update
//	exec                   an answer, or a call in the queue     doExec
//	abort of an exec       a call less in the queue              abort
//	get or set a blob      an answer                             blobs.answer
//	interaction query      a refusal                             handleLocked

// read makes r.message the next message, unless Buffered has read it already. It waits for upstream. The caller
// has the reading role.
//
// The clock runs only while it really waits: with a whole message in the buffer nobody is kept
// waiting, and two readings of the time for each word would be noticeable.
func (r *run) read() error {
	if r.ahead {
		r.ahead = false
		return nil
	}
	if !r.stream.in.Buffered() {
		r.clock.wait()
		defer r.clock.waited()
	}
	return r.stream.next(&r.message)
}

// delta turns r.message, if it is a piece of text, into an event, which shares its memory. It reports false when
// it is something else, or completes no character; then the joiner keeps the bytes that are there. The caller has
// the reading role and, if it is the background reader, mu.
//
// Text may end within a character; the joiner keeps that part until the next piece completes it.
func (r *run) delta() (agent.Event, bool) {
	m := &r.message
	if m.Kind == 0 {
		return agent.Event{}, false
	}
	if len(m.Text) > 0 {
		r.clock.modelContinues()
	}
	text := r.joiner(m.Kind).Add(m.Text)
	if len(text) == 0 {
		return agent.Event{}, false
	}
	r.clock.progress()
	r.meter.output += len(text)
	r.recordOutput()
	return agent.Event{Kind: m.Kind, Text: text}, true
}

// joiner is the joiner for text of that kind. The caller has the reading role.
func (r *run) joiner(kind agent.Kind) *agent.TextJoiner {
	if kind == agent.Text {
		return &r.text
	}
	return &r.thinking
}

// handle handles r.message if delta has made no event of it. It takes mu.
func (r *run) handle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handleLocked()
}

// readInBackground starts to read beside Next, if nobody does and the stream is not over. It gives the reading
// role to a goroutine of the run's own. mu is held.
func (r *run) readInBackground() {
	if r.inBackground || r.broken != nil {
		return
	}
	r.inBackground = true
	go r.keepReading(r.stream)
}

// keepReading is the background reader: it reads until the role is wanted back, the queue is full, or the stream
// ends. s is the stream that was current when it began; it can't change while this goroutine has the role.
//
// Idle gives the reader's buffer back while nothing comes: ten thousand parked runs would
// otherwise keep one each.
func (r *run) keepReading(s *stream) {
	defer agent.CatchPanic(r.panicked)
	for {
		if !s.in.Buffered() {
			s.in.Idle() // the next message may be minutes away
			r.clock.wait()
		}
		err := s.next(&r.message)
		r.clock.waited()
		if r.readOne(err) {
			return
		}
	}
}

// readOne handles what keepReading has read, r.message or an error, and reports whether the role was given back.
//
//	gives the role back when                        because
//	Next waits, there is an event, no exec is open  Next reads faster itself
//	the queue is full                               flow control is to make upstream wait
//	the stream has ended                            Next decides what follows (broken)
func (r *run) readOne(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		if e, ok := r.delta(); ok {
			e.Text = bytes.Clone(e.Text) // the queue outlives the stream's buffer
			r.queue.push(e)
		} else {
			r.handleLocked()
		}
	}
	r.broken = err
	wanted := r.waiting && r.queue.len() > 0 && len(r.execs.open) == 0
	r.inBackground = err == nil && !wanted && !r.queue.full()
	if r.queue.len() > 0 || !r.inBackground {
		r.wakeNext()
	}
	return !r.inBackground
}

// takeBroken returns, once, the error with which the background reader found the stream ended.
func (r *run) takeBroken() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.broken
	r.broken = nil
	return err
}

// handleLocked handles r.message unless it is text, and answers it where upstream waits for an
// answer. A message that we don't know is skipped. mu is held, and the caller has the reading
// role. Skipping what is not known keeps the run going when upstream adds messages.
func (r *run) handleLocked() {
	m := r.message
	r.message = agentwire.ServerMessage{} // a run may be parked for minutes now, and must not keep what it has read
	switch {
	case m.Kind != 0: // a part of a character, which delta has kept
		return
	case m.Checkpoint != nil:
		r.clock.progress()
		r.checkpoint = bytes.Clone(m.Checkpoint)
		r.meter.context = agentwire.ContextTokens(m.Checkpoint)
		r.tries.checkpoint()
		return
	case m.Other.GetInteractionUpdate().GetHeartbeat() == nil:
		r.clock.progress() // everything but heartbeats says that the model gets on
	}
	switch m := m.Other.GetMessage().(type) {
	case *pb.AgentServerMessage_InteractionUpdate:
		r.update(m.InteractionUpdate)
	case *pb.AgentServerMessage_ExecServerMessage:
		r.doExec(m.ExecServerMessage)
	case *pb.AgentServerMessage_ExecServerControlMessage:
		if a := m.ExecServerControlMessage.GetAbort(); a != nil {
			r.abort(a.GetId())
		}
	case *pb.AgentServerMessage_KvServerMessage:
		if answer := r.blobs.answer(m.KvServerMessage); answer != nil {
			r.send(&pb.AgentClientMessage{Message: &pb.AgentClientMessage_KvClientMessage{KvClientMessage: answer}})
		}
	case *pb.AgentServerMessage_InteractionQuery:
		r.send(&pb.AgentClientMessage{Message: &pb.AgentClientMessage_InteractionResponse{
			InteractionResponse: agentwire.RefuseQuery(m.InteractionQuery),
		}})
	}
}

// send sends a message. Whether the stream is over is found out by reading.
func (r *run) send(m *pb.AgentClientMessage) {
	r.stream.put(agentwire.Envelope(m))
}

// update handles an interaction update. Mirrors of calls are ignored, except to learn which are edits: the calls
// come as execs, too, or upstream carries them out itself.
//
// An update is for a client's screen; upstream waits for no answer to it.
func (r *run) update(u *pb.InteractionUpdate) {
	switch u := u.GetMessage().(type) {
	case *pb.InteractionUpdate_StepStarted:
		r.clock.modelContinues()
		r.calls.step()
	case *pb.InteractionUpdate_ToolRequestsListed:
		r.clock.modelContinues()
		r.calls.announce(int(u.ToolRequestsListed.GetCallCount()))
		r.wakeNext() // it may wait for calls that it now knows don't come
	case *pb.InteractionUpdate_TokenDelta:
		r.meter.tokens += int64(max(0, u.TokenDelta.GetTokens()))
	case *pb.InteractionUpdate_ToolCallStarted:
		r.clock.modelContinues()
		if call := u.ToolCallStarted; call.GetToolCall().GetEditToolCall() != nil {
			r.execs.recordEdit(call.GetCallId())
			r.execs.recordEdit(call.GetToolCall().GetToolCallId())
		}
	case *pb.InteractionUpdate_ToolCallCompleted:
		r.clock.modelContinues()
	case *pb.InteractionUpdate_TurnEnded:
		r.turnEnded = true
		r.clock.ended.Store(true)
		r.meter.turnEnded(u.TurnEnded)
	}
}
