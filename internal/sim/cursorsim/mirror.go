package cursorsim

import (
	"crypto/rand"
	"encoding/json"

	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

// Servers report every call in interaction updates, beside the exec that asks for it, so that an editor
// can show it. A client must not take the report for the call:
//
//	partial_tool_call      the arguments as the model writes them
//	tool_call_started      the call, whole
//	… the exec and its answer …
//	tool_call_completed

// mirrorStart reports a call that begins: its arguments in two pieces of text, and then the whole.
//
// Both pieces and the whole name the same call, by the model's id of it.
func (u *updates) mirrorStart(m *pb.McpArgs, args json.RawMessage) error {
	call := mirrored(m)
	for _, piece := range halves(string(args)) {
		err := u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_PartialToolCall{
			PartialToolCall: &pb.PartialToolCall{CallId: m.ToolCallId, ToolCall: call, ArgsTextDelta: piece},
		}})
		if err != nil {
			return err
		}
	}
	return u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolCallStarted{
		ToolCallStarted: &pb.ToolCallEvent{CallId: m.ToolCallId, ToolCall: call},
	}})
}

// mirrorEnd reports a call whose result is in. Built-in tools are not mirrored.
func (u *updates) mirrorEnd(e *exec) error {
	if e.mcp == nil {
		return nil
	}
	return u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolCallCompleted{
		ToolCallCompleted: &pb.ToolCallEvent{CallId: e.mcp.ToolCallId, ToolCall: mirrored(e.mcp)},
	}})
}

// mirrored is a call as interaction updates report it. It shares m, which must not be changed
// while it is sent.
func mirrored(m *pb.McpArgs) *pb.ToolCall {
	return &pb.ToolCall{
		Tool:       &pb.ToolCall_McpToolCall{McpToolCall: &pb.McpToolCall{Args: m}},
		ToolCallId: &m.ToolCallId,
	}
}

// halves cuts a text in two, not inside a character.
func halves(s string) []string {
	r := []rune(s)
	return []string{string(r[:len(r)/2]), string(r[len(r)/2:])}
}

// mirrorOnly reports a call that the server carries out by itself: get_mcp_tools, with which a model
// looks up the client's tools, or any other name. Nothing is asked of the client.
//
// The error is one of the script, when its arguments are no object, or of writing.
func (u *updates) mirrorOnly(s script.Mirror) error {
	id := "toolu_" + rand.Text()
	// Two forms: the server's own tool has a message of its own, any other name is that of an MCP tool.
	call := &pb.ToolCall{ToolCallId: &id}
	if s.Tool == "get_mcp_tools" {
		server := provider
		call.Tool = &pb.ToolCall_GetMcpToolsToolCall{GetMcpToolsToolCall: &pb.GetMcpToolsToolCall{
			Args: &pb.GetMcpToolsArgs{Server: &server, ToolCallId: id},
		}}
	} else {
		args := new(structpb.Struct)
		if err := args.UnmarshalJSON(s.Args); err != nil {
			return scriptError{&endError{Code: "invalid_argument", Message: err.Error()}}
		}
		call = mirrored(&pb.McpArgs{
			Name: toolPrefix + s.Tool, ToolName: s.Tool, ProviderIdentifier: provider, ToolCallId: id, Args: args.GetFields(),
		})
	}
	// Begun and ended at once. There is no exec between them, by which a client can tell it from a call of its own.
	event := &pb.ToolCallEvent{CallId: id, ToolCall: call}
	err := u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolCallStarted{ToolCallStarted: event}})
	if err != nil {
		return err
	}
	return u.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolCallCompleted{ToolCallCompleted: event}})
}
