package agentwire

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/pb"
	"composer-api/internal/cursor/sections"
)

// What we answer on a stream. All functions return whole envelopes, ready to be put into the
// request's body; none of them waits or keeps anything.

// HeartbeatEvery is how often upstream is told that we are there, with [ClientHeartbeat]. Source: the
// protocol's table of what must be answered, as for everything in this file.
const HeartbeatEvery = 5 * time.Second

// ExecHeartbeatEvery is how often upstream is told that an open exec is being worked on, with [ExecHeartbeat].
const ExecHeartbeatEvery = 3 * time.Second

// The fields that answers are put together from. Source: proto/agent/v1/localagent.proto.
const (
	fieldExecAnswer  protowire.Number = 2 // AgentClientMessage.exec_client_message
	fieldExecControl protowire.Number = 5 // AgentClientMessage.exec_client_control_message
	fieldHeartbeat   protowire.Number = 7 // AgentClientMessage.client_heartbeat

	fieldExecID               protowire.Number = 1  // ExecClientMessage.id
	fieldExecTime             protowire.Number = 39 // ExecClientMessage.local_execution_time_ms
	fieldRequestContextResult protowire.Number = 10 // ExecClientMessage.request_context_result
	fieldMcpStateResult       protowire.Number = 36 // ExecClientMessage.mcp_state_exec_result

	controlClose     protowire.Number = 1 // ExecClientControlMessage.stream_close
	controlThrow     protowire.Number = 2 // ExecClientControlMessage.throw
	controlHeartbeat protowire.Number = 3 // ExecClientControlMessage.heartbeat
)

// Answer is the envelopes of the answers to the exec id, normally one, and of its end: every exec is
// closed with stream_close. took is how long the exec took, in milliseconds. It sets the answers' ids.
func Answer(took int32, id uint32, answers ...*pb.ExecClientMessage) []byte {
	var b []byte
	for _, a := range answers {
		// Every message of an answer has the exec's id, by which upstream puts them together.
		a.Id, a.LocalExecutionTimeMs = id, &took
		b = appendEnvelope(b, appendField(nil, fieldExecAnswer, encode(a)))
	}
	return append(b, control(controlClose, id)...)
}

// RequestContextAnswer is the answer to an exec that asks for the request context: envelopes for upstream.
// The bytes of the toolset are copied into the answer, so the caller may do with it what it likes.
func (s *Toolset) RequestContextAnswer(execID uint32) []byte {
	return answerEncoded(execID, fieldRequestContextResult, s.requestContext)
}

// McpStateAnswer is the answer to an exec that asks which tools there are: envelopes for upstream.
func (s *Toolset) McpStateAnswer(execID uint32) []byte {
	return answerEncoded(execID, fieldMcpStateResult, s.mcpState)
}

// answerEncoded is Answer for a result that is encoded already, and with 0 milliseconds: an
// ExecClientMessage, put together by hand around the bytes that all runs with this toolset share.
func answerEncoded(id uint32, field protowire.Number, result []byte) []byte {
	// By hand, because the result would otherwise be decoded and encoded again for each run.
	message := protowire.AppendTag(nil, fieldExecID, protowire.VarintType)
	message = protowire.AppendVarint(message, uint64(id))
	message = protowire.AppendTag(message, fieldExecTime, protowire.VarintType)
	message = protowire.AppendVarint(message, 0)
	message = appendField(message, field, result)
	b := appendEnvelope(nil, appendField(nil, fieldExecAnswer, message))
	return append(b, control(controlClose, id)...)
}

// RequestContextAnswer is the same for tools that somebody else has encoded: the far end of the bridge
// knows a run only by its run request.
func RequestContextAnswer(execID uint32, tools []*pb.McpToolDefinition) []byte {
	b := appendEnvelope(nil, appendField(nil, fieldExecAnswer, encode(&pb.ExecClientMessage{
		Id: execID,
		Message: &pb.ExecClientMessage_RequestContextResult{RequestContextResult: &pb.RequestContextResult{
			Result: &pb.RequestContextResult_Success{
				Success: &pb.RequestContextSuccess{RequestContext: requestContext(tools)},
			},
		}},
	})))
	return append(b, control(controlClose, execID)...)
}

// McpResult is a client's result of its own tool, with a note of ours; see ResultParts. A failed tool is a success with
// is_error, as MCP has it; McpResult.error would mean that the call could not be made.
func McpResult(result *agent.ToolResult, note string) *pb.ExecClientMessage {
	success := &pb.McpSuccess{IsError: result.IsError}
	for _, p := range ResultParts(result, note) {
		content := &pb.McpContent{Content: &pb.McpContent_Text{Text: &pb.McpText{Text: Valid(p.Text)}}}
		if p.Image != nil {
			content.Content = &pb.McpContent_Image{Image: &pb.McpImage{Data: p.Image.Data, MimeType: Valid(p.Image.MIME)}}
		}
		success.Content = append(success.Content, content)
	}
	return &pb.ExecClientMessage{Message: &pb.ExecClientMessage_McpResult{McpResult: &pb.McpResult{
		Result: &pb.McpResult_Success{Success: success},
	}}}
}

// ResultParts are the parts of a result as the model reads them. The protocol has no place for what the
// user says along with a result, so that it follows it, in a section of its own, and so does a note of ours
// ("" is none). The result can't pass for such a section.
//
// Texts are escaped with package sections, so that a file which holds "</user_message>" closes nothing.
func ResultParts(result *agent.ToolResult, note string) []agent.Part {
	parts := escapeParts(result.Parts)
	if note != "" {
		parts = appendSection(parts, "\n\n", "system_instructions", []agent.Part{{Text: note}})
	}
	if len(result.Said) > 0 {
		parts = appendSection(parts, "\n\nThe user says, along with this result:\n", "user_message", result.Said)
	}
	return parts
}

// appendSection appends a section to parts, whose array is not written into. An image between
// texts ends the text part before it, and the section goes on after it.
func appendSection(parts []agent.Part, intro, name string, content []agent.Part) []agent.Part {
	parts = slices.Clip(parts)
	var w sections.Writer
	w.Own(intro, "<", name, ">\n")
	for _, p := range content {
		if p.Image == nil {
			w.Text(p.Text)
			continue
		}
		parts = append(parts, agent.Part{Text: string(w.Bytes())}, p)
		w = sections.Writer{}
	}
	w.Own("\n</", name, ">")
	return append(parts, agent.Part{Text: string(w.Bytes())})
}

// escapeParts keeps the texts of a client from being taken for tags of ours. Parts stay apart, unless a tag
// is cut in two by their border. parts itself is not changed.
func escapeParts(parts []agent.Part) []agent.Part {
	if !slices.ContainsFunc(parts, func(p agent.Part) bool { return strings.Contains(p.Text, "<") }) {
		return parts
	}
	var escaped []agent.Part
	for len(parts) > 0 {
		texts := 0
		for texts < len(parts) && parts[texts].Image == nil {
			texts++
		}
		escaped = append(escaped, escapeTexts(parts[:texts])...)
		if texts < len(parts) {
			escaped = append(escaped, parts[texts])
			texts++
		}
		parts = parts[texts:]
	}
	return escaped
}

// escapeTexts is escapeParts for parts without images. A tag can be cut in two by the border of
// two parts, where neither half looks like one. So the joined text is escaped, too, and if that
// gives something else, the parts become one.
func escapeTexts(parts []agent.Part) []agent.Part {
	var joined sections.Writer
	var escaped []agent.Part
	var apart strings.Builder
	for _, p := range parts {
		joined.Text(p.Text)
		var w sections.Writer
		w.Text(p.Text)
		escaped = append(escaped, agent.Part{Text: string(w.Bytes())})
		apart.Write(w.Bytes())
	}
	if whole := string(joined.Bytes()); whole != apart.String() {
		return []agent.Part{{Text: whole}}
	}
	return escaped
}

// Throw is the answer to an exec that we can't do anything about, and its end. reason is for the model.
func Throw(id uint32, reason string) []byte {
	m := encode(&pb.ExecClientControlMessage{Message: &pb.ExecClientControlMessage_Throw{
		Throw: &pb.ExecThrow{Id: id, Error: reason},
	}})
	b := appendEnvelope(nil, appendField(nil, fieldExecControl, m))
	return append(b, control(controlClose, id)...)
}

// ExecHeartbeat is the envelope that says that the exec id is being worked on, or waits for its result.
func ExecHeartbeat(id uint32) []byte { return control(controlHeartbeat, id) }

// control is the envelope of an exec control message that holds nothing but the exec's id.
func control(kind protowire.Number, id uint32) []byte {
	what := protowire.AppendTag(nil, 1, protowire.VarintType)
	what = protowire.AppendVarint(what, uint64(id))
	return appendEnvelope(nil, appendField(nil, fieldExecControl, appendField(nil, kind, what)))
}

// ClientHeartbeat is the envelope that says that the client of the whole stream is alive. The caller must not change it.
func ClientHeartbeat() []byte { return clientHeartbeat }

// clientHeartbeat is always the same, and shared by all streams.
var clientHeartbeat = appendEnvelope(nil, appendField(nil, fieldHeartbeat, nil))
