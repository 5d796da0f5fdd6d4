package localagent

import (
	"crypto/sha256"
	"math"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/localagent/toolmap"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/pb"
)

// An exec is upstream's request that the client does something: run one of its tools, or one of
// Cursor's built-in ones, or tell about itself. It has a number, and the answers bear the same
// number. Upstream waits for the answers.

// An openExec is something that upstream has asked for and that a tool of the client is to answer. It is open
// from the call's event until its result, an abort, or the end of the stream. While it is open, upstream gets
// an exec heartbeat every three seconds.
//
//	            ┌─ answered: its answer is kept, for when the exec comes again
//	(new) ─► open ─┼─ aborted by upstream: the result will be dropped
//	            └─ the stream ended: forgotten; the next stream brings it again, if it is still wanted
//
// Upstream may send one call of the model as several execs, each with an id of its own. They are open at the same time with one
// callID: the client runs the call once, and its result answers them all.
type openExec struct {
	// id is upstream's, and unique on its stream only.
	id      uint32
	modelID string            // upstream's id of the model's call; may be empty
	asks    [sha256.Size]byte // identifies the client's tool and the arguments
	callID  string            // ours
	// opened is for how long the tool has taken, which upstream is told with the answer.
	opened   time.Time
	nextBeat time.Time // when to say that it is being worked on
	// builtin is what was asked for, if it was one of Cursor's own tools; ranged belongs to it.
	builtin *builtin
	// ranged says that the client's tool reads a part of a file only, as it was asked to.
	ranged bool
}

// execs are the open execs of a stream, and what must be known to tell edits from writes. It is protected by
// run.mu, and is empty at the beginning of each stream: upstream asks again for what it still wants.
type execs struct {
	open  []*openExec     // few: a handful of parallel calls
	edits map[string]bool // upstream's ids of calls that read a file or are edits

	answered []answeredExec // that a client's tool has answered, oldest first
	size     int            // bytes of the answers that are kept
}

// An answeredExec is an exec that a client's tool has answered. Upstream may send the exec again when it has
// not seen the answer yet, or the same call as another exec; then the answer is sent again, and the tool does not run a second time.
type answeredExec struct {
	id      uint32
	modelID string
	asks    [sha256.Size]byte
	took    int32            // milliseconds
	answers []*answerMessage // nil when they are no longer kept
	size    int              // bytes of answers as they were sent
}

// maxAnswers is how many bytes of answers a stream keeps for execs that are sent again. The newest answer is
// kept whatever its size.
const maxAnswers = 1 << 20

// keep remembers the answer to an exec. The oldest answers make room for it; that they were answered is still known: a tool must not
// run twice, even if upstream then only gets an error.
//
// Of an answer that made room its id stays in the list, so the list grows by one entry for each
// call of a stream.
func (e *execs) keep(a answeredExec) {
	for i := range e.answered {
		if e.size+a.size <= maxAnswers {
			break
		}
		old := &e.answered[i]
		e.size -= old.size
		old.answers, old.size = nil, 0
	}
	e.answered = append(e.answered, a)
	e.size += a.size
}

// answeredBefore returns an exec that was answered before; nil for one that is new. Should upstream use an id for another call, the
// last call under it counts.
func (e *execs) answeredBefore(id uint32, modelID string) *answeredExec {
	for i := len(e.answered) - 1; i >= 0; i-- {
		if a := &e.answered[i]; a.id == id {
			if a.modelID != modelID {
				return nil
			}
			return a
		}
	}
	return nil
}

// sameOpen returns an open exec of the same call of the model; nil when there is none. An id alone doesn't make two execs one call:
// an edit reads and writes its file under one id.
func (e *execs) sameOpen(x *openExec) *openExec {
	for _, other := range e.open {
		if x.modelID != "" && other.modelID == x.modelID && other.asks == x.asks {
			return other
		}
	}
	return nil
}

// sameAnswered returns an answered exec of the same call of the model; nil when there is none.
func (e *execs) sameAnswered(x *openExec) *answeredExec {
	for i := len(e.answered) - 1; i >= 0; i-- {
		if a := &e.answered[i]; x.modelID != "" && a.modelID == x.modelID && a.asks == x.asks {
			return a
		}
	}
	return nil
}

// byID returns the open exec with upstream's id; nil when there is none.
func (e *execs) byID(id uint32) *openExec {
	for _, x := range e.open {
		if x.id == id {
			return x
		}
	}
	return nil
}

// byCall returns the open execs of the client's call: one, as a rule.
func (e *execs) byCall(callID string) []*openExec {
	var found []*openExec
	for _, x := range e.open {
		if x.callID == callID {
			found = append(found, x)
		}
	}
	return found
}

// drop removes x from the open ones, if it is there.
func (e *execs) drop(x *openExec) {
	for i, other := range e.open {
		if other == x {
			e.open = append(e.open[:i], e.open[i+1:]...)
			return
		}
	}
}

// recordEdit remembers a call that is an edit, or may turn out to be one when a write comes under the same id.
func (e *execs) recordEdit(callID string) {
	if callID == "" {
		return
	}
	if e.edits == nil {
		e.edits = map[string]bool{}
	}
	e.edits[callID] = true
}

// doExec handles an exec: it answers at once what is about us, and opens an exec for a tool of the client.
// Source: the protocol's table of what must be answered. r.mu is held.
//
//	the exec                       answered by
//	request context, MCP state     us, from the tool set
//	allowlist precheck             us, with an empty result
//	a call of an MCP tool          the client, if it has offered the tool (callTool)
//	a built-in tool                the client, if one of its tools does the same (callBuiltin)
//	anything else                  a throw: upstream goes on without it
func (r *run) doExec(m *pb.ExecServerMessage) {
	id := m.GetId()
	if r.execs.byID(id) != nil {
		return // sent twice
	}
	switch args := m.GetMessage().(type) {
	case *pb.ExecServerMessage_RequestContextArgs:
		r.stream.put(r.tools.RequestContextAnswer(id))
	case *pb.ExecServerMessage_McpStateExecArgs:
		r.stream.put(r.tools.McpStateAnswer(id))
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
		r.stream.put(agentwire.Throw(id, "This client doesn't know that operation."))
	}
}

// answerAgain sends the kept answer when a client's tool has answered the exec before. It reports whether that
// is so. r.mu is held.
func (r *run) answerAgain(id uint32, modelID string) bool {
	before := r.execs.answeredBefore(id, modelID)
	if before != nil {
		r.repeatAnswer(id, before)
	}
	return before != nil
}

// repeatAnswer answers an exec as another one of the same call was answered. r.mu is held.
func (r *run) repeatAnswer(id uint32, before *answeredExec) {
	if before.answers == nil {
		r.stream.put(agentwire.Throw(id, "This operation was answered before."))
		return
	}
	r.stream.put(agentwire.Answer(before.took, id, before.answers...))
}

// callTool gives the client a call of one of its tools, or answers that there is no such tool, with the names of those that there
// are: the model then chooses another. r.mu is held.
func (r *run) callTool(id uint32, args *pb.McpArgs) {
	if r.answerAgain(id, args.GetToolCallId()) {
		return
	}
	name, ours := agentwire.CalledTool(args)
	r.clock.modelContinues()
	tool, known := r.tools.Find(name)
	if !ours || !known {
		r.calls.arrived++
		r.answer(id, &answerMessage{Message: &pb.ExecClientMessage_McpResult{McpResult: &pb.McpResult{
			Result: &pb.McpResult_ToolNotFound{ToolNotFound: &pb.McpToolNotFound{Name: name, AvailableTools: r.tools.Names()}},
		}}})
		return
	}
	r.open(&openExec{id: id, modelID: args.GetToolCallId()}, tool, agentwire.ArgumentsJSON(args.GetArgs()))
}

// callBuiltin turns a built-in tool into a call of the client's tool that does the same, or refuses it.
//
// An edit is refused even where a tool for writing exists, because it comes as a read and a write of the whole
// file. It is known by the id of the model's call, which the read and the write share or a mirror announces:
//
//	read  call 7 "a.go"      recorded as a possible edit; mapped, as any read
//	write call 7 "a.go" …    call 7 is recorded: an edit, refused
//	write call 8 "b.go" …    a plain write; mapped
//
// r.mu is held.
func (r *run) callBuiltin(id uint32, b *builtin) {
	// It was answered on an earlier stream.
	if r.answerAgain(id, b.callID) {
		return
	}
	r.clock.modelContinues()
	mapper := r.tools.mapper
	isEdit := b.use.Kind == toolmap.Write && r.execs.edits[b.callID]
	if b.use.Kind == toolmap.Read {
		r.execs.recordEdit(b.callID)
	}
	if b.answer == nil || isEdit {
		r.calls.arrived++
		r.answer(id, b.refuse(mapper.Refusal(b.name)))
		return
	}
	call, ok := mapper.Map(b.use)
	if !ok {
		r.calls.arrived++
		r.answer(id, b.refuse(mapper.Refusal(b.name)))
		return
	}
	r.open(&openExec{id: id, modelID: b.callID, builtin: b, ranged: call.Ranged}, call.Tool, call.Arguments)
}

// open opens an exec: it queues the client's call, and has heartbeats sent until the result comes. An exec of a call that
// has come before waits for that call's result, or gets it. r.mu is held.
//
// The call's id is ours (agent.NewCallID) and unique over all runs: parked runs are found by it.
func (r *run) open(x *openExec, tool string, arguments []byte) {
	x.asks = sha256.Sum256(append([]byte(tool+"\x00"), arguments...))
	if before := r.execs.sameAnswered(x); before != nil {
		r.repeatAnswer(x.id, before)
		return
	}
	now := time.Now()
	x.opened, x.nextBeat = now, now.Add(agentwire.ExecHeartbeatEvery)
	same := r.execs.sameOpen(x)
	r.execs.open = append(r.execs.open, x)
	r.backend.pacer.set(&r.alarm, x.nextBeat)
	if same != nil {
		x.callID = same.callID
		return
	}
	x.callID = agent.NewCallID()
	r.calls.arrived++
	r.meter.output += len(arguments)
	r.calls.last = now
	r.recordOutput()
	r.queue.push(agent.Event{Kind: agent.Call, Call: &agent.ToolCall{ID: x.callID, Name: tool, Arguments: arguments}})
}

// abort forgets an exec that upstream no longer wants. A call that the client has been given already can't be
// taken back; its result will be dropped. r.mu is held.
func (r *run) abort(id uint32) {
	x := r.execs.byID(id)
	if x == nil {
		return
	}
	r.execs.drop(x)
	if len(r.execs.byCall(x.callID)) == 0 {
		r.queue.withdraw(x.callID)
	}
}

// giveResult answers an exec with the result of the client's tool. It reports false when the stream is over.
// r.mu is held.
func (r *run) giveResult(x *openExec, result *agent.ToolResult, note string) bool {
	r.execs.drop(x)
	took := int32(min(time.Since(x.opened).Milliseconds(), math.MaxInt32))
	if x.builtin == nil {
		return r.answerOpen(x, took, agentwire.McpResult(result, note))
	}
	text := agent.Message{Parts: agentwire.ResultParts(result, note)}
	o := outcome{text: agentwire.Valid(text.Text()), failed: result.IsError, ranged: x.ranged}
	return r.answerOpen(x, took, x.builtin.answer(o)...)
}

// answerOpen sends the answers to an exec that was open for took milliseconds, and keeps them. It reports false when the stream
// is over. r.mu is held.
func (r *run) answerOpen(x *openExec, took int32, answers ...*answerMessage) bool {
	b := agentwire.Answer(took, x.id, answers...)
	r.execs.keep(answeredExec{id: x.id, modelID: x.modelID, asks: x.asks, took: took, answers: answers, size: len(b)})
	return r.stream.put(b)
}

// answer answers an exec at once, in no time, and closes it. It reports false when the stream is over. r.mu is held.
func (r *run) answer(id uint32, a *answerMessage) bool {
	return r.stream.put(agentwire.Answer(0, id, a))
}
