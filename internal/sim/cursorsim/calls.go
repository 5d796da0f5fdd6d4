package cursorsim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

// Tool calls: the client's own tools, which are offered to the model as an MCP server, and an
// operation that no client knows. Cursor's own tools are in builtin.go, and what becomes of a
// call once it was asked in exec.go.

// doCalls plays calls that are open together, and waits for all their results:
//
//	tool_requests_listed   how many there will be (left out now and then, as servers do)
//	for each call          its mirror, the allow-list check, and the exec
//	                       … the client answers, in any order …
//	tool_call_completed    for each call
//	step_completed, step_started
//
// A step that stands between the calls, such as a delay or an abort, is played in its place,
// while the calls before it are open. The script's Announced is what is told beforehand, and
// may be another number than that of the calls.
func (p *run) doCalls(calls script.Calls) error {
	if calls.Announced > 0 && !p.wire.chance(5) {
		err := p.updates.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolRequestsListed{
			ToolRequestsListed: &pb.ToolRequestsListed{CallCount: uint32(calls.Announced)},
		}})
		if err != nil {
			return err
		}
	}
	// In the order of the script. The client may answer in any order.
	var open []*exec
	for _, step := range calls.Steps {
		var e *exec
		var err error
		switch s := step.(type) {
		case script.Call:
			e, err = p.call(s)
		case script.Again:
			e, err = p.execs.askAgain(s.N)
		default:
			err = p.do(step)
		}
		if err != nil {
			return err
		}
		if e != nil {
			open = append(open, e)
		}
	}
	// Only now: all calls are open before the first result is waited for.
	if err := p.awaitResults(open); err != nil {
		return err
	}
	for _, e := range open {
		if err := p.updates.mirrorEnd(e); err != nil {
			return err
		}
	}
	if err := p.updates.endStep(); err != nil {
		return err
	}
	return p.updates.beginStep()
}

// awaitResults waits for as long as the client wants, because a user may have to be asked, and sends
// heartbeats meanwhile. Streamed shell output is complete only with its stream_close.
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

// call makes one tool call: its mirror, the allow-list check, and the exec itself. It does not
// wait for the result. A tool that the request doesn't offer is called all the same: clients
// must answer that with tool_not_found. The error is one of the script (arguments that are no
// object of JSON values), or of writing.
func (p *run) call(c script.Call) (*exec, error) {
	if c.Builtin {
		return p.callBuiltin(c)
	}
	var args map[string]json.RawMessage
	// It can't fail: Parse takes objects only.
	json.Unmarshal(c.Args, &args)
	m := &pb.McpArgs{
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
	if err := p.updates.mirrorStart(m, c.Args); err != nil {
		return nil, err
	}
	if err := p.askAllowed(c.Tool, m.ToolCallId); err != nil {
		return nil, err
	}
	// Before the exec is sent: a later step may change the tools.
	offered, alike := p.offers(c.Tool)
	// 11 is mcp_args in ExecServerMessage.
	e, err := p.execs.ask("mcp", &c, field(11, m), func(a *pb.ExecClientMessage) {
		// The answer's text is for the script; here only its kind is judged.
		switch r := a.GetMcpResult(); {
		case r == nil:
			p.violation("a call of %s was not answered with mcp_result", c.Tool)
		case offered && r.GetToolNotFound() != nil:
			p.violation("%s was not found although it was offered", c.Tool)
		case !offered && !alike && r.GetToolNotFound() == nil && r.GetError() == nil:
			// The SDK says error, the protocol has tool_not_found. A client may take another case for the tool that it has.
			p.violation("%s was not offered, so its call must be answered with tool_not_found", c.Tool)
		}
	})
	if e != nil {
		p.execs.byCall[c.N], e.mcp = e, m
	}
	return e, err
}

// offers reports whether the client has the tool, as far as it has told, or else one whose name differs
// in case alone.
func (p *run) offers(tool string) (exact, alike bool) {
	for _, name := range p.tools {
		exact = exact || name == tool
		alike = alike || strings.EqualFold(name, tool)
	}
	return exact, alike
}

// The MCP server under which clients offer their tools, as Cursor's SDK names it. Tool names on the
// wire are custom-user-tools-read; tool_name has the bare name.
const (
	provider   = "custom-user-tools"
	toolPrefix = provider + "-"
)

// resultOf reads the answer to a call as a script sees it: the text, with a placeholder for
// each image, and whether it is an error. It never fails: an answer that says nothing becomes
// an error that the script can see.
func resultOf(e *exec, m *pb.ExecClientMessage) script.Result {
	if e.call.Builtin {
		return builtinResult(e, m)
	}
	switch r := m.GetMcpResult().GetResult().(type) {
	case *pb.McpResult_Success:
		var parts []string
		for _, c := range r.Success.GetContent() {
			if image := c.GetImage(); image != nil {
				// A script compares texts, and an image's bytes would not be readable in a failed
				// one.
				parts = append(parts, fmt.Sprintf("[%s, %d bytes]", image.GetMimeType(), len(image.GetData())))
				continue
			}
			parts = append(parts, c.GetText().GetText())
		}
		return script.Result{Text: strings.Join(parts, "\n"), IsError: r.Success.GetIsError()}
	case *pb.McpResult_Error:
		return script.Result{Text: r.Error.GetError(), IsError: true}
	case *pb.McpResult_Rejected:
		return script.Result{Text: "rejected: " + r.Rejected.GetReason(), IsError: true}
	case *pb.McpResult_ToolNotFound:
		return script.Result{Text: "tool not found: " + r.ToolNotFound.GetName(), IsError: true}
	}
	return script.Result{Text: "(an answer of no known kind)", IsError: true}
}

// askUnknown asks for an operation that clients do not know; they must throw, and close.
func (p *run) askUnknown(number int) error {
	e, err := p.execs.ask("unknown", nil, appendMessage(nil, protowire.Number(number), nil), func(*pb.ExecClientMessage) {
		p.violation("an unknown exec was answered and not thrown")
	})
	if err != nil {
		return err
	}
	return p.await("the throw for an unknown exec", func() bool { return e.done && e.closed })
}
