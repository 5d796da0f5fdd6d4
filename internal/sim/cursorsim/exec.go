package cursorsim

import (
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

// An exec is an operation that the client was asked for and that may still be open. Its states:
//
//	          ask          answered, threw           closed
//	(none) ─────────► open ───────────────► done ─────────────► closed
//	                   │ abort
//	                   └──────► done and aborted: what still comes is ignored
//
// Two exceptions: a shell_stream is answered several times before it is closed, and an aborted exec may
// or may not be closed.
type exec struct {
	// id names the exec in every message about it.
	id uint32
	// kind says what was asked for, for the record: "mcp", "request_context", or the name of a built-in tool.
	kind  string
	index int // in Run.Execs
	// call is nil for an operation that is no call of the script, such as a question for the tools.
	call    *script.Call
	mcp     *pb.McpArgs                 // of a call of a client's tool
	check   func(*pb.ExecClientMessage) // judges the answer; may be nil
	payload []byte                      // the encoded field with the operation
	// asked is when it was sent. From then on the client owes heartbeats.
	asked      time.Time
	heartbeats int    // heartbeats that came for it
	output     string // the result so far
	done       bool   // answered, thrown or aborted
	thrown     bool   // the client answered with a throw
	aborted    bool   // the server withdrew it; what still comes is ignored
	closed     bool   // stream_close came
}

// execs keeps track of a stream's execs: which were asked, answered and closed, and in which order.
// Anything that doesn't fit the states of [exec] is a violation. It belongs to the run's goroutine.
// The ids are numbers from 1 on, again in each stream.
type execs struct {
	notes
	// wire is what questions are sent on.
	wire   *wire
	result func(call int, r script.Result) // takes what a call gave, by script.Call.N
	next   uint32                          // id of the last one asked
	// byID has those that are over, too: a second answer has to be told from an unknown one.
	byID   map[uint32]*exec
	byCall map[int]*exec // by script.Call.N
}

// ask sends an exec and does not wait. payload is the encoded field with the operation. call is the tool call that the
// exec stands for, nil when the server asks for itself; check judges the answer, in the run's goroutine.
func (x *execs) ask(kind string, call *script.Call, payload []byte, check func(*pb.ExecClientMessage)) (*exec, error) {
	x.next++
	// It is noted before it is sent: the answer may come while this still writes.
	e := &exec{id: x.next, kind: kind, call: call, check: check, payload: payload, asked: time.Now()}
	x.byID[e.id] = e
	r := Exec{ID: e.id, Kind: kind, Asked: e.asked}
	if call != nil {
		r.Tool = call.Tool
	}
	x.record(func(run *Run) {
		e.index = len(run.Execs)
		run.Execs = append(run.Execs, r)
	})
	// ExecServerMessage is an id, an exec_id and one field for the operation. The operation is
	// appended as bytes, because a script may ask for one that has no Go type. 2 is exec_server_message.
	head, err := marshal(&pb.ExecServerMessage{Id: e.id, ExecId: "exec-" + rand.Text()})
	if err != nil {
		return nil, err
	}
	return e, x.wire.sendPayload(appendMessage(nil, 2, append(head, payload...)))
}

// askAgain sends call number n once more as an exec of its own, with the same id of the model's call. It is nil when there
// was no such call.
func (x *execs) askAgain(n int) (*exec, error) {
	first := x.byCall[n]
	if first == nil {
		return nil, nil
	}
	return x.ask(first.kind, first.call, first.payload, first.check)
}

// field encodes an operation as the field of ExecServerMessage with that number. It panics on a
// message that can't be encoded, which none of the simulator's is.
func field(number protowire.Number, m proto.Message) []byte {
	data, err := marshal(m)
	if err != nil {
		panic(err) // the messages are the simulator's own
	}
	return appendMessage(nil, number, data)
}

// answered takes in the answer to an exec: it judges it, hands a tool's result to the player, and
// records it. Answers come in any order.
func (x *execs) answered(m *pb.ExecClientMessage) {
	e := x.byID[m.GetId()]
	switch {
	case e == nil:
		x.violation("exec %d was answered but not asked", m.GetId())
		return
	case e.aborted:
		return // it may have been under way
	case e.closed:
		x.violation("exec %d (%s) was answered after its stream_close", e.id, e.kind)
		return
	case e.done && e.kind != "shell_stream":
		x.violation("exec %d (%s) was answered twice", e.id, e.kind)
		return
	}
	// Only what a tool does takes long enough for heartbeats to be due.
	if e.call != nil && !e.done {
		x.checkRhythm("heartbeats of exec "+e.kind, e.heartbeats, time.Since(e.asked), execHeartbeat)
	}
	e.done = true
	if e.check != nil {
		e.check(m)
	}
	var result script.Result
	if e.call != nil {
		result = resultOf(e, m)
		// The output of a shell that is streamed comes in several answers.
		e.output += result.Text
		result.Text = e.output
		x.result(e.call.N, result)
	}
	x.record(func(r *Run) {
		entry := &r.Execs[e.index]
		entry.Answer, entry.Answered, entry.Result = &Message[*pb.ExecClientMessage]{m}, time.Now(), result.Text
		r.Unknown = merged(r.Unknown, unknownFields(e.kind, m.ProtoReflect()))
	})
}

// controlled takes in a control message about an exec: stream_close, throw or heartbeat. One about an
// exec that was never asked is a violation.
func (x *execs) controlled(m *pb.ExecClientControlMessage) {
	var id uint32
	switch c := m.GetMessage().(type) {
	case *pb.ExecClientControlMessage_StreamClose:
		id = c.StreamClose.GetId()
		if e := x.byID[id]; e != nil {
			x.closed(e)
			return
		}
	case *pb.ExecClientControlMessage_Throw:
		id = c.Throw.GetId()
		if e := x.byID[id]; e != nil {
			x.threw(e, c.Throw)
			return
		}
	case *pb.ExecClientControlMessage_Heartbeat:
		id = c.Heartbeat.GetId()
		if e := x.byID[id]; e != nil {
			// A heartbeat may cross an abort on its way.
			if e.closed && !e.aborted {
				x.violation("exec %d (%s): a heartbeat after its stream_close", e.id, e.kind)
			}
			e.heartbeats++
			x.record(func(r *Run) { r.Execs[e.index].Heartbeats++ })
			return
		}
	}
	x.violation("exec control: there is no exec %d", id)
}

// closed takes in the stream_close after which the client says nothing more about an exec.
func (x *execs) closed(e *exec) {
	switch {
	// The client may close what was withdrawn, or leave it.
	case e.aborted:
	case !e.done:
		x.violation("exec %d (%s): stream_close without an answer", e.id, e.kind)
	case e.closed:
		x.violation("exec %d (%s): a second stream_close", e.id, e.kind)
	}
	e.closed = true
	x.record(func(r *Run) { r.Execs[e.index].Closed = true })
}

// mayThrow reports whether a throw is a proper answer. It is one to an operation that the client does
// not know, and to a built-in tool, which Cursor's SDK throws back when the tool fails before it has a
// result. What the server asks about the client itself, and calls of the client's own tools, have
// results for every failure.
func (e *exec) mayThrow() bool { return e.kind == "unknown" || e.call != nil && e.call.Builtin }

// threw takes in the throw that ends an exec.
func (x *execs) threw(e *exec, t *pb.ExecThrow) {
	if e.done && !e.aborted {
		x.violation("exec %d (%s): a throw after an answer", e.id, e.kind)
	}
	if !e.mayThrow() {
		x.violation("exec %d (%s) was answered with a throw: %s", e.id, e.kind, t.GetError())
	}
	e.done, e.thrown = true, true
	if e.call != nil {
		x.result(e.call.N, script.Result{Text: t.GetError(), IsError: true})
	}
	x.record(func(r *Run) {
		entry := &r.Execs[e.index]
		entry.Thrown, entry.Answered = t.GetError(), time.Now()
	})
}

// abort withdraws the script's call number n. Its result is no longer awaited, and an answer that is
// under way is ignored. A call that was answered before stays as it is.
func (x *execs) abort(n int) error {
	e := x.byCall[n]
	// The script's number of a call that was never made, or one whose answer was faster.
	if e == nil || e.done {
		return nil
	}
	e.done, e.aborted = true, true
	x.result(n, script.Result{Text: "(aborted)", IsError: true})
	x.record(func(r *Run) { r.Execs[e.index].Aborted = true })
	return x.wire.send(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerControlMessage{
		ExecServerControlMessage: &pb.ExecServerControlMessage{
			Message: &pb.ExecServerControlMessage_Abort{Abort: &pb.ExecAbort{Id: e.id}},
		},
	}})
}

// allClosed reports whether every exec that was answered was closed, too.
func (x *execs) allClosed() bool {
	for _, e := range x.byID {
		if e.done && !e.closed && !e.aborted {
			return false
		}
	}
	return true
}
