package cursorsim

import (
	"crypto/rand"
	"encoding/json"

	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/cursorpb"
	"composer-api/internal/script"
)

// Servers report every call in interaction updates, beside the exec that asks for it. A client must not take the report
// for the call.

// mirrorStart reports a call that begins: as it is written, and then whole.
func (p *run) mirrorStart(m *cursorpb.McpArgs, args json.RawMessage) error {
	call := mirrored(m)
	for _, piece := range halves(string(args)) {
		err := p.update(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_PartialToolCall{
			PartialToolCall: &cursorpb.PartialToolCall{CallId: m.ToolCallId, ToolCall: call, ArgsTextDelta: piece},
		}})
		if err != nil {
			return err
		}
	}
	return p.update(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_ToolCallStarted{
		ToolCallStarted: &cursorpb.ToolCallEvent{CallId: m.ToolCallId, ToolCall: call},
	}})
}

// mirrorEnd reports a call whose result is in.
func (p *run) mirrorEnd(e *exec) error {
	if e.mcp == nil {
		return nil
	}
	return p.update(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_ToolCallCompleted{
		ToolCallCompleted: &cursorpb.ToolCallEvent{CallId: e.mcp.ToolCallId, ToolCall: mirrored(e.mcp)},
	}})
}

func mirrored(m *cursorpb.McpArgs) *cursorpb.ToolCall {
	return &cursorpb.ToolCall{
		Tool:       &cursorpb.ToolCall_McpToolCall{McpToolCall: &cursorpb.McpToolCall{Args: m}},
		ToolCallId: &m.ToolCallId,
	}
}

// halves cuts a text in two, not inside a character.
func halves(s string) []string {
	r := []rune(s)
	return []string{string(r[:len(r)/2]), string(r[len(r)/2:])}
}

// mirrorOnly reports a call that the server carries out by itself: looking up the client's tools, or anything else.
func (p *run) mirrorOnly(s script.Mirror) error {
	id := "toolu_" + rand.Text()
	call := &cursorpb.ToolCall{ToolCallId: &id}
	if s.Tool == "get_mcp_tools" {
		server := provider
		call.Tool = &cursorpb.ToolCall_GetMcpToolsToolCall{GetMcpToolsToolCall: &cursorpb.GetMcpToolsToolCall{
			Args: &cursorpb.GetMcpToolsArgs{Server: &server, ToolCallId: id},
		}}
	} else {
		args := new(structpb.Struct)
		if err := args.UnmarshalJSON(s.Args); err != nil {
			return scriptError{&endError{Code: "invalid_argument", Message: err.Error()}}
		}
		call = mirrored(&cursorpb.McpArgs{
			Name: toolPrefix + s.Tool, ToolName: s.Tool, ProviderIdentifier: provider, ToolCallId: id, Args: args.GetFields(),
		})
	}
	event := &cursorpb.ToolCallEvent{CallId: id, ToolCall: call}
	err := p.update(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_ToolCallStarted{ToolCallStarted: event}})
	if err != nil {
		return err
	}
	return p.update(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_ToolCallCompleted{ToolCallCompleted: event}})
}
