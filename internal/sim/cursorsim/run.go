package cursorsim

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

// A run plays one turn on one stream: it takes the script's steps in order, and whenever it waits, it
// reads what the client sent and hands it to the part that keeps track of it.
//
//	updates   speaks for the model
//	execs     operations that the client was asked for
//	blobs     the client's blob store
//	queries   questions to the user
//
// Everything that a run owns belongs to the goroutine that serves the request, so there are no locks
// here. The inbox is the only way in for other goroutines; the conversation is shared with other runs
// and has a lock of its own.
//
// Its states, all within play:
//
//	awaitRequest   the first message has to come; nothing is answered yet
//	open           the status is out; the context is asked for
//	do             one step of the script after the other
//	close          checkpoint, open answers, turn_ended
type run struct {
	notes
	// sim, ctx, in, header and wire are set when the request comes. ctx ends with it.
	sim    *Sim
	ctx    context.Context
	in     *inbox
	header http.Header
	wire   *wire
	// started is when the stream was opened.
	started time.Time

	// These are set by awaitRequest; nil before.
	request      *pb.AgentRunRequest
	conversation *conversation
	player       *script.Player
	state        *pb.ConversationState // the conversation so far, as the next checkpoint says it
	before       int                   // turns before this one
	tools        []string              // the client's, as it has told last
	prior        int64                 // tokens of the turns before
	from         checkpoint            // the user's message, and for a run that carries another one on what that had said

	// The four parts. Each has its own state, and all write to the same wire.
	updates *updates
	execs   *execs
	blobs   *blobs
	queries *queries
}

// heartbeatEvery is how often the server shows that it is alive while it waits.
const heartbeatEvery = 5 * time.Second

// play is a run from its first message to what must come before the end frame. It returns nil when the
// turn ended well; any other end is an error, which endOf names.
//
// The status goes out only after the run request came and the first step is known, because the script
// may want another one than 200.
func (p *run) play(w http.ResponseWriter) error {
	if err := p.awaitRequest(); err != nil {
		return err
	}
	// The first step is asked for before the status is sent, and played below.
	step, more := p.player.Next()
	if s, ok := step.(script.Status); ok && more {
		return &statusError{s}
	}
	w.WriteHeader(http.StatusOK)
	if err := p.wire.flush(); err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return err
	}
	for more {
		if err := p.do(step); err != nil {
			return err
		}
		step, more = p.player.Next()
	}
	return p.close()
}

// awaitRequest reads the run request, records it, and finds out what to play. A request that is
// refused is recorded all the same.
func (p *run) awaitRequest() error {
	if err := p.await("the run request", func() bool { return p.request != nil }); err != nil {
		return err
	}
	// From here on the conversation is shared: another run may name the same id.
	p.conversation = p.sim.conversations.of(p.request.GetConversationId())
	facts, err := p.facts()
	p.record(func(r *Run) {
		r.Request = Message[*pb.AgentRunRequest]{p.request}
		r.RunID, r.ConversationID = p.request.GetRunId(), p.request.GetConversationId()
		r.Attempt, r.Continued, r.Resume = facts.Attempt, facts.Continued, facts.Resume
		r.Prompt, r.Model, r.Tools, r.Images = facts.Prompt, facts.Model, facts.Tools, facts.Images
		r.System = facts.System
		r.Unknown = merged(r.Unknown, unknownFields("request", p.request.ProtoReflect()))
	})
	if err != nil {
		return err
	}
	p.tools = facts.Tools
	p.checkRequest()
	// The real server refuses such a run, too; a gateway that forgets max_mode is found here.
	if m := p.request.GetRequestedModel(); needsMaxMode(m) && !m.GetMaxMode() {
		return &endError{Code: "invalid_argument", Message: "the model " + modelString(m) + " needs max_mode"}
	}
	p.player = p.sim.playlist.Player(facts)
	return nil
}

// facts are what a script may ask of this run. A resume action has no prompt: it is that of the
// run which broke. It takes the conversation's lock. The error is for an action that is neither
// a message nor a resume; facts are as far as they were known.
func (p *run) facts() (script.Facts, error) {
	f := script.Facts{Model: modelString(p.request.GetRequestedModel()), System: p.request.GetCustomSystemPrompt()}
	for _, t := range p.request.GetMcpTools().GetMcpTools() {
		f.Tools = append(f.Tools, t.GetToolName())
	}
	c := p.conversation
	c.mu.Lock()
	defer c.mu.Unlock()
	// A client's retry has the run id of the first attempt.
	c.attempts[p.request.GetRunId()]++
	f.Attempt = c.attempts[p.request.GetRunId()]
	// An empty message is how clients say "new".
	f.Continued = proto.Size(p.request.GetConversationState()) > 0
	// A conversation that this process has not seen is taken up from its state, as the real server does.
	p.before = len(p.request.GetConversationState().GetTurns())
	p.prior = int64(p.request.GetConversationState().GetTokenDetails().GetUsedTokens())
	var err error
	switch action := p.request.GetAction(); {
	case action.GetUserMessageAction() != nil:
		message := action.GetUserMessageAction().GetUserMessage()
		p.from = checkpoint{prompt: message.GetText(), images: len(message.GetSelectedContext().GetSelectedImages())}
	case action.GetResumeAction() != nil:
		f.Resume = true
		p.from = c.checkpoints.items[stateHash(p.request.GetConversationState())]
		p.before = max(p.before-1, 0) // the last one is the turn that broke
	default:
		err = &endError{Code: "invalid_argument", Message: "the run request has no action"}
	}
	f.Prompt, f.Images, f.Said = p.from.prompt, p.from.images, p.from.said
	f.Told, f.Conversation, f.Key = p.from.prompt, p.request.GetConversationId(), p.rec.KeyHash
	return f, err
}

// open is what the server does before the model speaks: it asks for the context, and for the blobs of
// a conversation that is continued.
func (p *run) open() error {
	if err := p.askContext(); err != nil {
		return err
	}
	p.state = &pb.ConversationState{}
	if p.rec.Continued {
		if err := p.fetchState(p.request.GetConversationState()); err != nil {
			return err
		}
	}
	// Newer servers send updates that this client does not know; one in two runs has one.
	if p.wire.chance(2) {
		if err := p.wire.frame(0, unknownUpdate()); err != nil {
			return err
		}
	}
	return p.updates.beginStep()
}

// close is what the server does after the model has spoken: it ends the step, sends a checkpoint, waits
// for the answers that are still open, and says turn_ended with the usage. If the script has said
// turn-ended already, it is said again only when there is a new usage to report, as servers do for
// sub-agents.
func (p *run) close() error {
	if err := p.updates.endStep(); err != nil {
		return err
	}
	if err := p.sendCheckpoint(0, 0); err != nil {
		return err
	}
	if err := p.await("the answers to blobs and queries", func() bool { return len(p.blobs.open) == 0 && len(p.queries.open) == 0 }); err != nil {
		return err
	}
	if err := p.awaitCloses(); err != nil {
		return err
	}
	// The script has ended the turn itself.
	if p.updates.ended && p.updates.usage == nil {
		return nil
	}
	return p.updates.endTurn(p.prior)
}

// await reads the client until done. What does not come within Config.AnswerTimeout ends the run, and
// is a violation.
func (p *run) await(what string, done func() bool) error {
	timeout := time.NewTimer(p.sim.config.AnswerTimeout)
	defer timeout.Stop()
	ok, err := p.read(done, timeout.C, false)
	if err == nil && !ok {
		p.violation("%s did not come within %s", what, p.sim.config.AnswerTimeout)
		err = &endError{Code: "deadline_exceeded", Message: "the simulator waited too long for " + what}
	}
	return err
}

// never is a condition that is never true: read goes on until its timeout.
func never() bool { return false }

// read is the only place where a run waits. It takes in what the client sends, until done reports true
// (then it returns true) or the timeout comes (then false). A nil timeout never comes. With alive the
// server sends heartbeats meanwhile. done is called after each batch of messages, and once before the
// first wait.
//
// The error is one that ends the run: the request is over, the client broke off or canceled, or a write
// failed.
func (p *run) read(done func() bool, timeout <-chan time.Time, alive bool) (bool, error) {
	// The client may be waiting for the very messages that are held back for merging.
	if err := p.wire.flushHeld(); err != nil {
		return false, err
	}
	var beat <-chan time.Time
	if alive {
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
		// All that there is, before done is asked: answers often come together.
		for _, item := range p.in.take() {
			if err := p.receive(item); err != nil {
				return false, err
			}
		}
		if done() {
			return true, nil
		}
		select {
		case <-p.in.signal:
		case <-beat:
			if err := p.updates.heartbeat(); err != nil {
				return false, err
			}
			if err := p.wire.flushHeld(); err != nil {
				return false, err
			}
		case <-timeout:
			return false, nil
		case <-p.ctx.Done():
			return false, contextErr(p.ctx)
		}
	}
}

// pause reads for d; 0 is until the client leaves.
func (p *run) pause(d time.Duration, alive bool) error {
	var timeout <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	_, err := p.read(never, timeout, alive)
	return err
}

// receive takes in one thing that the client sent: the end of its side, or a message, which goes to
// the part of the run that asked for it. An error ends the run: the client is gone, or has canceled.
func (p *run) receive(i item) error {
	switch {
	case i.err != nil:
		return fmt.Errorf("%w: %w", errLeft, i.err)
	// The client's side is over, and the server goes on: a client that waits for nothing more may
	// half-close.
	case i.eof:
		p.record(func(r *Run) { r.HalfClosed = true })
		return nil
	}
	if p.request == nil && i.message.GetRunRequest() == nil {
		// Over HTTP/1.1 too the request has number 0.
		p.violation("the first message is not the run request")
	}
	switch m := i.message.GetMessage().(type) {
	case *pb.AgentClientMessage_RunRequest:
		if p.request != nil {
			p.violation("a second run request")
			return nil
		}
		p.request = m.RunRequest
	case *pb.AgentClientMessage_ExecClientMessage:
		p.execs.answered(m.ExecClientMessage)
	case *pb.AgentClientMessage_ExecClientControlMessage:
		p.execs.controlled(m.ExecClientControlMessage)
	case *pb.AgentClientMessage_KvClientMessage:
		p.blobs.answered(m.KvClientMessage)
	case *pb.AgentClientMessage_InteractionResponse:
		if text, ok := p.queries.answered(m.InteractionResponse); ok {
			p.player.Answer(text)
		}
	case *pb.AgentClientMessage_ClientHeartbeat:
		p.record(func(r *Run) { r.Heartbeats++ })
	case *pb.AgentClientMessage_ConversationAction:
		if m.ConversationAction.GetCancelAction() != nil {
			return errCancel
		}
	default:
		p.violation("a message of no known kind")
	}
	return nil
}

// failed lists the script's expectations that did not hold; none when the run ended before it had a
// player.
func (p *run) failed() []string {
	if p.player == nil {
		return nil
	}
	return p.player.Failed()
}

// formatSeconds writes a duration as Retry-After does, rounded up. Less than a second is 1.
func formatSeconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
