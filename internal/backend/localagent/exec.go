package localagent

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/agent"
	"composer-api/internal/backend/localagent/toolmap"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// execEvery is how often upstream is told that an open exec is being worked on.
const execEvery = 3 * time.Second

// An openExec is something that upstream has asked for and that a client's tool is to answer.
type openExec struct {
	id       uint32
	modelID  string // upstream's id of the model's call; may be empty
	callID   string // ours
	opened   time.Time
	nextBeat time.Time // when to say that it is being worked on
	// builtin is what was asked for, if it was one of Cursor's own tools; ranged belongs to it.
	builtin *builtin
	ranged  bool
}

// execs are the open execs of a stream, and what must be known to tell edits from writes.
type execs struct {
	open  []*openExec     // few: a handful of parallel calls
	edits map[string]bool // upstream's ids of calls that read a file or are edits

	answered []answeredExec // that a client's tool has answered, oldest first
	size     int            // bytes of the answers that are kept
}

// An answeredExec is an exec that a client's tool has answered. Upstream may send it again when it has not seen the
// answer yet; the tool must not run a second time.
type answeredExec struct {
	id      uint32
	modelID string
	answer  []byte // the envelopes that were sent; nil when it is no longer kept
}

// maxAnswers is how many bytes of answers a stream keeps for execs that are sent again. The newest answer is kept
// whatever its size.
const maxAnswers = 1 << 20

// keep remembers the answer to x. The answers that were sent first make room for it.
func (e *execs) keep(x *openExec, answer []byte) {
	for i := range e.answered {
		if e.size+len(answer) <= maxAnswers {
			break
		}
		e.size -= len(e.answered[i].answer)
		e.answered[i].answer = nil
	}
	e.answered = append(e.answered, answeredExec{x.id, x.modelID, answer})
	e.size += len(answer)
}

// answeredBefore returns the answer to an exec that was answered before, which is nil when it is no longer kept. The
// latest counts, should upstream use an id for another call.
func (e *execs) answeredBefore(id uint32, modelID string) (answer []byte, ok bool) {
	for i := len(e.answered) - 1; i >= 0; i-- {
		if a := &e.answered[i]; a.id == id {
			return a.answer, a.modelID == modelID
		}
	}
	return nil, false
}

func (e *execs) byID(id uint32) *openExec {
	for _, x := range e.open {
		if x.id == id {
			return x
		}
	}
	return nil
}

func (e *execs) byCall(callID string) *openExec {
	for _, x := range e.open {
		if x.callID == callID {
			return x
		}
	}
	return nil
}

func (e *execs) drop(x *openExec) {
	for i, other := range e.open {
		if other == x {
			e.open = append(e.open[:i], e.open[i+1:]...)
			return
		}
	}
}

// noteEdit remembers a call that is an edit, or may turn out to be one when a write comes under the same id.
func (e *execs) noteEdit(callID string) {
	if callID == "" {
		return
	}
	if e.edits == nil {
		e.edits = map[string]bool{}
	}
	e.edits[callID] = true
}

// doExec answers what upstream asks, or opens an exec for the client's tool. r.mu is held.
func (r *run) doExec(m *pb.ExecServerMessage) {
	id := m.GetId()
	if r.execs.byID(id) != nil {
		return // said twice
	}
	switch args := m.GetMessage().(type) {
	case *pb.ExecServerMessage_RequestContextArgs:
		r.answerRaw(id, fieldRequestContextResult, r.ticket.tools.requestContext)
	case *pb.ExecServerMessage_McpStateExecArgs:
		r.answerRaw(id, fieldMcpStateResult, r.ticket.tools.mcpState)
	case *pb.ExecServerMessage_McpAllowlistPrecheckArgs:
		r.answer(id, &answerMessage{Message: &pb.ExecClientMessage_McpAllowlistPrecheckResult{
			McpAllowlistPrecheckResult: &pb.McpAllowlistPrecheckResult{},
		}})
	case *pb.ExecServerMessage_McpArgs:
		r.callTool(id, args.McpArgs)
	default:
		if b := builtinOf(m); b != nil {
			r.callBuiltin(id, b)
			return
		}
		r.stream.put(throw(id, "This client doesn't know that operation."))
	}
}

// answerAgain sends the answer again when a client's tool has answered the exec before. It reports whether it has. r.mu
// is held.
func (r *run) answerAgain(id uint32, modelID string) bool {
	answer, ok := r.execs.answeredBefore(id, modelID)
	switch {
	case !ok:
		return false
	case answer == nil:
		r.stream.put(throw(id, "This operation was answered before."))
	default:
		r.stream.put(answer)
	}
	return true
}

// callTool passes a call of one of the client's tools on, or says that there is no such tool.
func (r *run) callTool(id uint32, args *pb.McpArgs) {
	if r.answerAgain(id, args.GetToolCallId()) {
		return
	}
	name, ours := CalledTool(args)
	r.clock.goesOn()
	r.calls.arrived++
	if !ours || !r.ticket.tools.has(name) {
		r.answer(id, &answerMessage{Message: &pb.ExecClientMessage_McpResult{McpResult: &pb.McpResult{
			Result: &pb.McpResult_ToolNotFound{ToolNotFound: &pb.McpToolNotFound{Name: name, AvailableTools: r.ticket.tools.names}},
		}}})
		return
	}
	r.open(&openExec{id: id, modelID: args.GetToolCallId()}, name, argumentsJSON(args.GetArgs()))
}

// callBuiltin turns a built-in tool into a call of the client's tool that does the same, or refuses it.
func (r *run) callBuiltin(id uint32, b *builtin) {
	if r.answerAgain(id, b.callID) {
		return
	}
	r.clock.goesOn()
	r.calls.arrived++
	mapper := r.ticket.tools.mapper
	isEdit := b.use.Kind == toolmap.Write && r.execs.edits[b.callID]
	if b.use.Kind == toolmap.Read {
		r.execs.noteEdit(b.callID)
	}
	if b.answer == nil || isEdit {
		r.answer(id, b.refuse(mapper.Refusal(b.name)))
		return
	}
	call, ok := mapper.Map(b.use)
	if !ok {
		r.answer(id, b.refuse(mapper.Refusal(b.name)))
		return
	}
	r.open(&openExec{id: id, modelID: b.callID, builtin: b, ranged: call.Ranged}, call.Tool, call.Arguments)
}

// open gives the client a call and keeps its exec alive until the result comes.
func (r *run) open(x *openExec, tool string, arguments []byte) {
	now := time.Now()
	x.callID = agent.NewCallID()
	x.opened, x.nextBeat = now, now.Add(execEvery)
	r.execs.open = append(r.execs.open, x)
	r.backend.pacer.set(&r.alarm, x.nextBeat)
	r.meter.output += len(arguments)
	r.calls.last = now
	r.said()
	r.queue.push(agent.Event{Kind: agent.Call, Call: &agent.ToolCall{ID: x.callID, Name: tool, Arguments: arguments}})
}

// abort forgets an exec that upstream no longer wants. A call that the client was given already can't be taken back;
// its result will be dropped.
func (r *run) abort(id uint32) {
	x := r.execs.byID(id)
	if x == nil {
		return
	}
	r.execs.drop(x)
	r.queue.withdraw(x.callID)
}

// giveResult answers an exec with what the client's tool said. It reports false when the stream is over.
func (r *run) giveResult(x *openExec, result *agent.ToolResult) bool {
	r.execs.drop(x)
	took := int32(min(time.Since(x.opened).Milliseconds(), math.MaxInt32))
	if x.builtin == nil {
		return r.answerOpen(x, took, mcpResult(result))
	}
	o := outcome{failed: result.IsError, ranged: x.ranged}
	for _, p := range result.Parts {
		o.text += p.Text
	}
	o.text = valid(o.text)
	return r.answerOpen(x, took, x.builtin.answer(o)...)
}

// answerOpen sends the answers to an exec that a client's tool has worked on for so many milliseconds, and keeps them.
func (r *run) answerOpen(x *openExec, took int32, answers ...*answerMessage) bool {
	b := answerEnvelopes(took, x.id, answers...)
	r.execs.keep(x, b)
	return r.stream.put(b)
}

// mcpResult is a client's result of its own tool.
func mcpResult(result *agent.ToolResult) *answerMessage {
	success := &pb.McpSuccess{IsError: result.IsError}
	for _, p := range result.Parts {
		content := &pb.McpContent{Content: &pb.McpContent_Text{Text: &pb.McpText{Text: valid(p.Text)}}}
		if p.Image != nil {
			content.Content = &pb.McpContent_Image{Image: &pb.McpImage{Data: p.Image.Data, MimeType: valid(p.Image.MIME)}}
		}
		success.Content = append(success.Content, content)
	}
	return &answerMessage{Message: &pb.ExecClientMessage_McpResult{McpResult: &pb.McpResult{
		Result: &pb.McpResult_Success{Success: success},
	}}}
}

// The fields that answers are put together from.
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

// answer answers an exec at once and closes it.
func (r *run) answer(id uint32, a *answerMessage) bool {
	return r.stream.put(answerEnvelopes(0, id, a))
}

// answerEnvelopes are the answers to an exec, normally one, that took so many milliseconds, and its end.
func answerEnvelopes(took int32, id uint32, answers ...*answerMessage) []byte {
	var b []byte
	for _, a := range answers {
		a.Id, a.LocalExecutionTimeMs = id, &took
		b = appendEnvelope(b, appendField(nil, fieldExecAnswer, encode(a)))
	}
	return append(b, control(controlClose, id)...)
}

// answerRaw is answer for a result that is encoded already.
func (r *run) answerRaw(id uint32, field protowire.Number, result []byte) bool {
	message := protowire.AppendTag(nil, fieldExecID, protowire.VarintType)
	message = protowire.AppendVarint(message, uint64(id))
	message = protowire.AppendTag(message, fieldExecTime, protowire.VarintType)
	message = protowire.AppendVarint(message, 0)
	message = appendField(message, field, result)
	b := appendEnvelope(nil, appendField(nil, fieldExecAnswer, message))
	return r.stream.put(append(b, control(controlClose, id)...))
}

// throw is the answer to an exec that we can't do anything about, and its end.
func throw(id uint32, reason string) []byte {
	m := encode(&pb.ExecClientControlMessage{Message: &pb.ExecClientControlMessage_Throw{
		Throw: &pb.ExecThrow{Id: id, Error: reason},
	}})
	b := appendEnvelope(nil, appendField(nil, fieldExecControl, m))
	return append(b, control(controlClose, id)...)
}

// control is the envelope of an exec control message that holds nothing but the exec's id.
func control(kind protowire.Number, id uint32) []byte {
	what := protowire.AppendTag(nil, 1, protowire.VarintType)
	what = protowire.AppendVarint(what, uint64(id))
	return appendEnvelope(nil, appendField(nil, fieldExecControl, appendField(nil, kind, what)))
}

// clientHeartbeat says that the client of the whole stream is alive.
var clientHeartbeat = appendEnvelope(nil, appendField(nil, fieldHeartbeat, nil))

func appendEnvelope(b, message []byte) []byte { return connectwire.Append(b, 0, message) }
