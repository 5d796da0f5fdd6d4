package cursorsim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/cursorpb"
	"composer-api/internal/script"
)

// An exec is an operation that the client was asked for and that may still be open.
type exec struct {
	id      uint32
	kind    string
	index   int // in Run.Execs
	call    *script.Call
	mcp     *cursorpb.McpArgs                 // of a call of a client's tool
	check   func(*cursorpb.ExecClientMessage) // judges the answer; may be nil
	asked   time.Time
	beats   int
	done    bool // answered, thrown or aborted
	thrown  bool
	aborted bool
	closed  bool
}

// ask sends an exec. fill sets the operation on a message that has its ids already.
func (p *run) ask(kind string, call *script.Call, payload []byte, check func(*cursorpb.ExecClientMessage)) (*exec, error) {
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
	head, err := proto.Marshal(&cursorpb.ExecServerMessage{Id: e.id, ExecId: "exec-" + rand.Text()})
	if err != nil {
		return nil, err
	}
	return e, p.wire.sendPayload(appendMessage(nil, 2, append(head, payload...)))
}

// field encodes an operation as the field of ExecServerMessage with that number.
func field(number protowire.Number, m proto.Message) []byte {
	data, err := proto.Marshal(m)
	if err != nil {
		panic(err) // the messages are the simulator's own
	}
	return appendMessage(nil, number, data)
}

// answered takes in the answer to an exec.
func (p *run) answered(m *cursorpb.ExecClientMessage) {
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
		p.player.Result(e.call.N, result)
	}
	p.record(func(r *Run) {
		x := &r.Execs[e.index]
		x.Answer, x.Answered, x.Result = &Message[*cursorpb.ExecClientMessage]{m}, time.Now(), result.Text
	})
}

// controlled takes in what a client says about an exec.
func (p *run) controlled(m *cursorpb.ExecClientControlMessage) {
	var id uint32
	switch c := m.GetMessage().(type) {
	case *cursorpb.ExecClientControlMessage_StreamClose:
		id = c.StreamClose.GetId()
		if e := p.execs[id]; e != nil {
			p.closed(e)
			return
		}
	case *cursorpb.ExecClientControlMessage_Throw:
		id = c.Throw.GetId()
		if e := p.execs[id]; e != nil {
			p.threw(e, c.Throw)
			return
		}
	case *cursorpb.ExecClientControlMessage_Heartbeat:
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

func (p *run) threw(e *exec, t *cursorpb.ExecThrow) {
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

// doCalls plays calls that are open together, and waits for all their results.
func (p *run) doCalls(calls script.Calls) error {
	if calls.Announced > 0 && !p.wire.chance(5) {
		err := p.update(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_ToolRequestsListed{
			ToolRequestsListed: &cursorpb.ToolRequestsListed{CallCount: uint32(calls.Announced)},
		}})
		if err != nil {
			return err
		}
	}
	var open []*exec
	for _, step := range calls.Steps {
		call, ok := step.(script.Call)
		if !ok {
			if err := p.do(step); err != nil {
				return err
			}
			continue
		}
		e, err := p.call(call)
		if err != nil {
			return err
		}
		open = append(open, e)
	}
	if err := p.awaitResults(open); err != nil {
		return err
	}
	for _, e := range open {
		if err := p.mirrorEnd(e); err != nil {
			return err
		}
	}
	if err := p.endStep(); err != nil {
		return err
	}
	return p.beginStep()
}

// awaitResults waits as long as the client wants: a user may have to be asked.
func (p *run) awaitResults(open []*exec) error {
	_, err := p.read(func() bool {
		for _, e := range open {
			if !e.done || (e.kind == "shell_stream" && !e.closed) {
				return false
			}
		}
		return true
	}, nil, true)
	return err
}

// call makes one tool call: its mirror, the allow-list check, and the exec itself.
func (p *run) call(c script.Call) (*exec, error) {
	if c.Builtin {
		return p.callBuiltin(c)
	}
	var args map[string]json.RawMessage
	json.Unmarshal(c.Args, &args)
	m := &cursorpb.McpArgs{
		Name: toolPrefix + c.Tool, ToolName: c.Tool, ProviderIdentifier: provider, ServerIdentifier: provider,
		ToolCallId: "toolu_" + rand.Text(), Args: map[string]*structpb.Value{},
	}
	for name, raw := range args {
		v := new(structpb.Value)
		if err := v.UnmarshalJSON(raw); err != nil {
			return nil, scriptError{&endError{Code: "invalid_argument", Message: fmt.Sprintf("argument %s: %v", name, err)}}
		}
		m.Args[name] = v
	}
	if err := p.mirrorStart(m, c.Args); err != nil {
		return nil, err
	}
	if err := p.askAllowed(c.Tool, m.ToolCallId); err != nil {
		return nil, err
	}
	offered := p.offers(c.Tool)
	e, err := p.ask("mcp", &c, field(11, m), func(a *cursorpb.ExecClientMessage) {
		switch r := a.GetMcpResult(); {
		case r == nil:
			p.violation("a call of %s was not answered with mcp_result", c.Tool)
		case offered && r.GetToolNotFound() != nil:
			p.violation("%s was not found although it was offered", c.Tool)
		case !offered && r.GetToolNotFound() == nil:
			p.violation("%s was not offered, so its call must be answered with tool_not_found", c.Tool)
		}
	})
	if e != nil {
		p.calls[c.N], e.mcp = e, m
	}
	return e, err
}

func (p *run) offers(tool string) bool {
	for _, t := range p.request.GetMcpTools().GetMcpTools() {
		if t.GetToolName() == tool {
			return true
		}
	}
	return false
}

// The MCP server under which clients offer their tools.
const (
	provider   = "custom-user-tools"
	toolPrefix = provider + "-"
)

// result reads the answer to a call as a script sees it.
func (p *run) result(e *exec, m *cursorpb.ExecClientMessage) script.Result {
	if e.call.Builtin {
		return builtinResult(p, e, m)
	}
	switch r := m.GetMcpResult().GetResult().(type) {
	case *cursorpb.McpResult_Success:
		var parts []string
		for _, c := range r.Success.GetContent() {
			if image := c.GetImage(); image != nil {
				parts = append(parts, fmt.Sprintf("[%s, %d bytes]", image.GetMimeType(), len(image.GetData())))
				continue
			}
			parts = append(parts, c.GetText().GetText())
		}
		return script.Result{Text: strings.Join(parts, "\n"), IsError: r.Success.GetIsError()}
	case *cursorpb.McpResult_Error:
		return script.Result{Text: r.Error.GetError(), IsError: true}
	case *cursorpb.McpResult_Rejected:
		return script.Result{Text: "rejected: " + r.Rejected.GetReason(), IsError: true}
	case *cursorpb.McpResult_ToolNotFound:
		return script.Result{Text: "tool not found: " + r.ToolNotFound.GetName(), IsError: true}
	}
	return script.Result{Text: "(an answer of no known kind)", IsError: true}
}

// abort withdraws a call. Its result is no longer awaited.
func (p *run) abort(n int) error {
	e := p.calls[n]
	if e == nil || e.done {
		return nil
	}
	e.done, e.aborted = true, true
	p.player.Result(n, script.Result{Text: "(aborted)", IsError: true})
	p.record(func(r *Run) { r.Execs[e.index].Aborted = true })
	return p.wire.send(&cursorpb.AgentServerMessage{Message: &cursorpb.AgentServerMessage_ExecServerControlMessage{
		ExecServerControlMessage: &cursorpb.ExecServerControlMessage{
			Message: &cursorpb.ExecServerControlMessage_Abort{Abort: &cursorpb.ExecAbort{Id: e.id}},
		},
	}})
}

// askUnknown asks for an operation that clients do not know; they must throw.
func (p *run) askUnknown(number int) error {
	e, err := p.ask("unknown", nil, appendMessage(nil, protowire.Number(number), nil), func(*cursorpb.ExecClientMessage) {
		p.violation("an unknown exec was answered and not thrown")
	})
	if err != nil {
		return err
	}
	return p.await("the throw for an unknown exec", func() bool { return e.done && e.closed })
}
