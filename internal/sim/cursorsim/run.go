package cursorsim

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

type kvAnswer = pb.KvClientMessage

// A run plays one turn on one stream. Everything that it owns belongs to the goroutine that serves the request; what
// the client sends reaches it through the inbox, and whenever it waits, it reads.
type run struct {
	sim     *Sim
	rec     *Run
	ctx     context.Context
	in      *inbox
	header  http.Header
	wire    *wire
	started time.Time

	request      *pb.AgentRunRequest
	conversation *conversation
	player       *script.Player
	state        *pb.ConversationState // the conversation so far, as the next checkpoint says it
	before       int                   // turns before this one
	prior        int64                 // tokens of the turns before

	nextExec, nextKV, nextQuery uint32
	execs                       map[uint32]*exec
	calls                       map[int]*exec              // by script.Call.N
	kv                          map[uint32]func(*kvAnswer) // unanswered
	queries                     map[uint32]string          // unanswered
	step                        uint64
	said, thought               strings.Builder
	usage                       *script.Usage
	ended                       bool // turn_ended was sent
}

// heartbeatEvery is how often the server shows that it is alive while it waits.
const heartbeatEvery = 5 * time.Second

// play is a run from its first message to what must come before the end frame. It returns nil when the turn ended
// well.
func (p *run) play(w http.ResponseWriter) error {
	if err := p.awaitRequest(); err != nil {
		return err
	}
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

// awaitRequest reads the run request and finds out what to play.
func (p *run) awaitRequest() error {
	if err := p.await("the run request", func() bool { return p.request != nil }); err != nil {
		return err
	}
	p.conversation = p.sim.conversations.of(p.request.GetConversationId())
	facts, err := p.facts()
	p.record(func(r *Run) {
		r.Request = Message[*pb.AgentRunRequest]{p.request}
		r.RunID, r.ConversationID = p.request.GetRunId(), p.request.GetConversationId()
		r.Attempt, r.Continued, r.Resume = facts.Attempt, facts.Continued, facts.Resume
		r.Prompt, r.Model, r.Tools, r.Images = facts.Prompt, facts.Model, facts.Tools, facts.Images
		r.Unknown = merged(r.Unknown, unknownFields("request", p.request.ProtoReflect()))
	})
	if err != nil {
		return err
	}
	p.checkRequest()
	p.player = p.sim.playlist.Player(facts)
	return nil
}

// facts are what a script may ask of this run. A resume action has no prompt: it is that of the run which broke.
func (p *run) facts() (script.Facts, error) {
	f := script.Facts{Model: modelString(p.request.GetRequestedModel())}
	for _, t := range p.request.GetMcpTools().GetMcpTools() {
		f.Tools = append(f.Tools, t.GetToolName())
	}
	c := p.conversation
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts[p.request.GetRunId()]++
	f.Attempt = c.attempts[p.request.GetRunId()]
	f.Continued = proto.Size(p.request.GetConversationState()) > 0
	// A conversation that this process has not seen is taken up from its state, as the real server does.
	p.before = len(p.request.GetConversationState().GetTurns())
	p.prior = int64(p.request.GetConversationState().GetTokenDetails().GetUsedTokens())
	var err error
	switch action := p.request.GetAction(); {
	case action.GetUserMessageAction() != nil:
		message := action.GetUserMessageAction().GetUserMessage()
		c.prompt, c.images = message.GetText(), len(message.GetSelectedContext().GetSelectedImages())
	case action.GetResumeAction() != nil:
		f.Resume = true
		p.before = max(p.before-1, 0) // the last one is the turn that broke
	default:
		err = &endError{Code: "invalid_argument", Message: "the run request has no action"}
	}
	f.Prompt, f.Images = c.prompt, c.images
	return f, err
}

// open is what the server asks before the model speaks.
func (p *run) open() error {
	if err := p.askContext(); err != nil {
		return err
	}
	p.state = &pb.ConversationState{}
	if p.rec.Continued {
		if err := p.recall(p.request.GetConversationState()); err != nil {
			return err
		}
	}
	if p.wire.chance(2) {
		if err := p.wire.frame(0, unknownUpdate()); err != nil {
			return err
		}
	}
	return p.beginStep()
}

// close is what the server says after the model has spoken.
func (p *run) close() error {
	if err := p.endStep(); err != nil {
		return err
	}
	if err := p.sendCheckpoint(0, 0); err != nil {
		return err
	}
	if err := p.await("the answers to blobs and queries", func() bool { return len(p.kv) == 0 && len(p.queries) == 0 }); err != nil {
		return err
	}
	if err := p.awaitCloses(); err != nil {
		return err
	}
	if p.ended && p.usage == nil {
		return nil
	}
	return p.endTurn()
}

// update sends an interaction update.
func (p *run) update(u *pb.InteractionUpdate) error {
	return p.wire.send(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{InteractionUpdate: u}})
}

func (p *run) beginStep() error {
	p.step++
	return p.update(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_StepStarted{
		StepStarted: &pb.StepStarted{StepId: p.step},
	}})
}

func (p *run) endStep() error {
	return p.update(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_StepCompleted{
		StepCompleted: &pb.StepCompleted{StepId: p.step, StepDurationMs: time.Since(p.started).Milliseconds()},
	}})
}

// text sends a text delta. It is encoded by hand because a script may cut a character in two, which generated code
// refuses.
func (p *run) text(s string, notice bool) error {
	if !notice {
		p.said.WriteString(s)
	}
	delta := appendString(nil, 1, s)
	if notice {
		delta = protowire.AppendTag(delta, 2, protowire.VarintType)
		delta = protowire.AppendVarint(delta, 1)
	}
	return p.wire.sendPayload(appendMessage(nil, 1, appendMessage(nil, 1, delta)))
}

func (p *run) think(s string) error {
	p.thought.WriteString(s)
	return p.wire.sendPayload(appendMessage(nil, 1, appendMessage(nil, 4, appendString(nil, 1, s))))
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}

func (p *run) heartbeat() error {
	return p.update(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_Heartbeat{Heartbeat: &pb.Empty{}}})
}

// tokens is about how many tokens this turn has cost so far: four bytes a token.
func (p *run) tokens() int64 {
	return int64(len(p.rec.Prompt)+p.said.Len()+p.thought.Len())/4 + 1
}

// endTurn says that the turn has ended and what it cost.
func (p *run) endTurn() error {
	u := script.Usage{
		Input:     int64(len(p.rec.Prompt))/4 + 1,
		CacheRead: p.prior,
		Output:    int64(p.said.Len()+p.thought.Len())/4 + 1,
		Reasoning: int64(p.thought.Len()) / 4,
	}
	if p.usage != nil {
		u = *p.usage
	}
	p.ended, p.usage = true, nil
	return p.update(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_TurnEnded{TurnEnded: &pb.TurnEnded{
		InputTokens: &u.Input, OutputTokens: &u.Output, CacheReadTokens: &u.CacheRead, CacheWriteTokens: &u.CacheWrite,
		ReasoningTokens: &u.Reasoning,
	}}})
}

// await reads the client until done. The client's patience is the simulator's: what is late ends the run.
func (p *run) await(what string, done func() bool) error {
	timeout := time.NewTimer(p.sim.config.Patience)
	defer timeout.Stop()
	ok, err := p.read(done, timeout.C, false)
	if err == nil && !ok {
		p.violation("%s did not come within %s", what, p.sim.config.Patience)
		err = &endError{Code: "deadline_exceeded", Message: "the simulator waited too long for " + what}
	}
	return err
}

// forever is done that never is.
func forever() bool { return false }

// read takes in what the client sends until done, and reports true, or until timeout, and reports false. A nil timeout
// never comes. With alive the server sends heartbeats meanwhile.
func (p *run) read(done func() bool, timeout <-chan time.Time, alive bool) (bool, error) {
	if err := p.wire.settle(); err != nil {
		return false, err
	}
	var beat <-chan time.Time
	if alive {
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
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
			if err := p.heartbeat(); err != nil {
				return false, err
			}
			if err := p.wire.settle(); err != nil {
				return false, err
			}
		case <-timeout:
			return false, nil
		case <-p.ctx.Done():
			return false, contextErr(p.ctx)
		}
	}
}

// pause reads for a time; 0 is until the client leaves.
func (p *run) pause(d time.Duration, alive bool) error {
	var timeout <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	_, err := p.read(forever, timeout, alive)
	return err
}

// receive takes in one thing that the client sent.
func (p *run) receive(i item) error {
	switch {
	case i.err != nil:
		return fmt.Errorf("%w: %w", errLeft, i.err)
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
		p.answered(m.ExecClientMessage)
	case *pb.AgentClientMessage_ExecClientControlMessage:
		p.controlled(m.ExecClientControlMessage)
	case *pb.AgentClientMessage_KvClientMessage:
		p.record(func(r *Run) { r.Blobs = append(r.Blobs, Message[*kvAnswer]{m.KvClientMessage}) })
		answer, ok := p.kv[m.KvClientMessage.GetId()]
		if !ok {
			p.violation("kv %d was answered but not asked", m.KvClientMessage.GetId())
			return nil
		}
		delete(p.kv, m.KvClientMessage.GetId())
		answer(m.KvClientMessage)
	case *pb.AgentClientMessage_InteractionResponse:
		p.responded(m.InteractionResponse)
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

func (p *run) record(change func(*Run)) { p.sim.journal.update(p.rec, change) }

func (p *run) violation(format string, args ...any) {
	p.sim.journal.violation(p.rec.Seq, fmt.Sprintf(format, args...))
}

// failed lists the script's expectations that did not hold.
func (p *run) failed() []string {
	if p.player == nil {
		return nil
	}
	return p.player.Failed()
}

// formatSeconds writes a duration as Retry-After does, rounded up.
func formatSeconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
