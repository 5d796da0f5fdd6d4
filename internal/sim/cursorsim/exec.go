package cursorsim

import (
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

// An exec is an operation that the client was asked for and that may still be open.
type exec struct {
	id      uint32
	kind    string
	index   int // in Run.Execs
	call    *script.Call
	mcp     *pb.McpArgs                 // of a call of a client's tool
	check   func(*pb.ExecClientMessage) // judges the answer; may be nil
	asked   time.Time
	beats   int
	said    string // the result so far
	done    bool   // answered, thrown or aborted
	thrown  bool
	aborted bool
	closed  bool
}

// ask sends an exec. fill sets the operation on a message that has its ids already.
func (p *run) ask(kind string, call *script.Call, payload []byte, check func(*pb.ExecClientMessage)) (*exec, error) {
	p.nextExec++
	e := &exec{id: p.nextExec, kind: kind, call: call, check: check, asked: time.Now()}
	p.execs[e.id] = e
	r := Exec{ID: e.id, Kind: kind, Asked: e.asked}
	if call != nil {
		r.Tool = call.Tool
	}
	p.record(func(run *Run) {
		e.index = len(run.Execs)
		run.Execs = append(run.Execs, r)
	})
	head, err := marshal(&pb.ExecServerMessage{Id: e.id, ExecId: "exec-" + rand.Text()})
	if err != nil {
		return nil, err
	}
	return e, p.wire.sendPayload(appendMessage(nil, 2, append(head, payload...)))
}

// field encodes an operation as the field of ExecServerMessage with that number.
func field(number protowire.Number, m proto.Message) []byte {
	data, err := marshal(m)
	if err != nil {
		panic(err) // the messages are the simulator's own
	}
	return appendMessage(nil, number, data)
}

// answered takes in the answer to an exec.
func (p *run) answered(m *pb.ExecClientMessage) {
	e := p.execs[m.GetId()]
	switch {
	case e == nil:
		p.violation("exec %d was answered but not asked", m.GetId())
		return
	case e.aborted:
		return // it may have been under way
	case e.closed:
		p.violation("exec %d (%s) was answered after its stream_close", e.id, e.kind)
		return
	case e.done && e.kind != "shell_stream":
		p.violation("exec %d (%s) was answered twice", e.id, e.kind)
		return
	}
	if e.call != nil && !e.done {
		p.checkRhythm("heartbeats of exec "+e.kind, e.beats, time.Since(e.asked), execHeartbeat)
	}
	e.done = true
	if e.check != nil {
		e.check(m)
	}
	var result script.Result
	if e.call != nil {
		result = p.result(e, m)
		// The output of a shell that is streamed comes in several answers.
		e.said += result.Text
		result.Text = e.said
		p.player.Result(e.call.N, result)
	}
	p.record(func(r *Run) {
		x := &r.Execs[e.index]
		x.Answer, x.Answered, x.Result = &Message[*pb.ExecClientMessage]{m}, time.Now(), result.Text
		r.Unknown = merged(r.Unknown, unknownFields(e.kind, m.ProtoReflect()))
	})
}

// controlled takes in what a client says about an exec.
func (p *run) controlled(m *pb.ExecClientControlMessage) {
	var id uint32
	switch c := m.GetMessage().(type) {
	case *pb.ExecClientControlMessage_StreamClose:
		id = c.StreamClose.GetId()
		if e := p.execs[id]; e != nil {
			p.closed(e)
			return
		}
	case *pb.ExecClientControlMessage_Throw:
		id = c.Throw.GetId()
		if e := p.execs[id]; e != nil {
			p.threw(e, c.Throw)
			return
		}
	case *pb.ExecClientControlMessage_Heartbeat:
		id = c.Heartbeat.GetId()
		if e := p.execs[id]; e != nil {
			if e.closed && !e.aborted {
				p.violation("exec %d (%s): a heartbeat after its stream_close", e.id, e.kind)
			}
			e.beats++
			p.record(func(r *Run) { r.Execs[e.index].Heartbeats++ })
			return
		}
	}
	p.violation("exec control: there is no exec %d", id)
}

func (p *run) closed(e *exec) {
	switch {
	case e.aborted:
	case !e.done:
		p.violation("exec %d (%s): stream_close without an answer", e.id, e.kind)
	case e.closed:
		p.violation("exec %d (%s): a second stream_close", e.id, e.kind)
	}
	e.closed = true
	p.record(func(r *Run) { r.Execs[e.index].Closed = true })
}

func (p *run) threw(e *exec, t *pb.ExecThrow) {
	if e.done && !e.aborted {
		p.violation("exec %d (%s): a throw after an answer", e.id, e.kind)
	}
	if e.kind != "unknown" {
		p.violation("exec %d (%s) was answered with a throw: %s", e.id, e.kind, t.GetError())
	}
	e.done, e.thrown = true, true
	if e.call != nil {
		p.player.Result(e.call.N, script.Result{Text: t.GetError(), IsError: true})
	}
	p.record(func(r *Run) {
		x := &r.Execs[e.index]
		x.Thrown, x.Answered = t.GetError(), time.Now()
	})
}

// askUnknown asks for an operation that clients do not know; they must throw.
func (p *run) askUnknown(number int) error {
	e, err := p.ask("unknown", nil, appendMessage(nil, protowire.Number(number), nil), func(*pb.ExecClientMessage) {
		p.violation("an unknown exec was answered and not thrown")
	})
	if err != nil {
		return err
	}
	return p.await("the throw for an unknown exec", func() bool { return e.done && e.closed })
}
