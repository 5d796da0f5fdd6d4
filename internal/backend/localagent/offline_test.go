package localagent

import (
	"bytes"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// newOfflineRun makes a run whose upstream is the test: receive hands it messages, and sent is what it answers.
func newOfflineRun(t *testing.T) *run {
	b, err := New(Config{Endpoint: "http://cursor/agent.v1.AgentService/Run", Auth: auth.New(auth.Config{})})
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(b, backendtest.Request("hello"))
	r.stream = &stream{out: newOutbox(), in: connectwire.NewReader(bytes.NewReader(nil), 0)}
	t.Cleanup(func() {
		r.end()
		r.mu.Lock()
		r.stopFor(errClosed)
		r.mu.Unlock()
		b.Close()
	})
	return r
}

func (r *run) receive(t *testing.T, m *pb.AgentServerMessage) {
	t.Helper()
	r.receiveBytes(t, encode(m))
}

func (r *run) receiveBytes(t *testing.T, message []byte) {
	t.Helper()
	if err := r.message.Parse(message); err != nil {
		t.Fatal(err)
	}
	r.handle()
}

// sent is what waits for the transport, which takes it with that.
func (r *run) sent(t *testing.T) []byte {
	t.Helper()
	b := make([]byte, r.stream.out.waiting())
	if len(b) == 0 {
		return nil
	}
	n, err := r.stream.out.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// encode encodes a server message.
func encode(m *pb.AgentServerMessage) []byte {
	data, err := proto.Marshal(m)
	if err != nil {
		panic(err) // its strings are UTF-8
	}
	return data
}

func updateMessage(u *pb.InteractionUpdate) []byte {
	return encode(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{InteractionUpdate: u}})
}

func textMessage(text string) []byte {
	return updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_TextDelta{TextDelta: &pb.TextDelta{Text: text}}})
}

func callOfLook(execID uint32, modelID string) *pb.AgentServerMessage {
	return &pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerMessage{ExecServerMessage: &pb.ExecServerMessage{
		Id: execID,
		Message: &pb.ExecServerMessage_McpArgs{McpArgs: &pb.McpArgs{
			Name: "custom-user-tools-look", ToolName: "look", ProviderIdentifier: "custom-user-tools", ToolCallId: modelID,
		}},
	}}}
}

// giveCall yields the call that the run has for the client, and answers it.
func (r *run) giveCall(t *testing.T, text string) {
	t.Helper()
	if r.queue.len() != 1 {
		t.Fatalf("%d events for the client, want one call", r.queue.len())
	}
	call := r.queue.pop().Call
	r.turnOver = true
	if err := r.Resume(t.Context(), []agent.ToolResult{{CallID: call.ID, Parts: []agent.Part{{Text: text}}}}); err != nil {
		t.Fatal(err)
	}
}

func TestExecThatIsSentAgainIsAnsweredAgain(t *testing.T) {
	r := newOfflineRun(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	r.giveCall(t, "found")
	answer := r.sent(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	if n := r.queue.len(); n != 0 {
		t.Errorf("the client is given %d events for a call that it has answered", n)
	}
	if again := r.sent(t); len(answer) == 0 || !bytes.Equal(again, answer) {
		t.Errorf("answered with %q, then with %q", answer, again)
	}
	r.receive(t, callOfLook(7, "toolu_2"))
	r.giveCall(t, "another call under the same id")
}

// The answers differ in the id of the exec only. They also say how long the call took: in a bubble that is no time.
func TestACallThatComesUnderTwoExecIDsRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOfflineRun(t)
		r.receive(t, callOfLook(7, "toolu_1"))
		r.receive(t, callOfLook(8, "toolu_1"))
		r.giveCall(t, "found")
		answers := r.sent(t)
		r.receive(t, callOfLook(9, "toolu_1"))
		if n := r.queue.len(); n != 0 || len(r.execs.open) != 0 {
			t.Errorf("%d events for the client, %d execs open", n, len(r.execs.open))
		}
		answers = append(answers, r.sent(t)...)
		result := &agent.ToolResult{Parts: []agent.Part{{Text: "found"}}}
		var want []byte
		for id := uint32(7); id <= 9; id++ {
			want = append(want, agentwire.Answer(0, id, agentwire.McpResult(result, ""))...)
		}
		if !bytes.Equal(answers, want) {
			t.Errorf("sent %q, want %q", answers, want)
		}
	})
}

// A call without an id of the model's, or with other arguments, is a call of its own.
func TestCallsThatOnlyLookAlikeRunEach(t *testing.T) {
	r := newOfflineRun(t)
	other := callOfLook(9, "toolu_1")
	other.GetExecServerMessage().GetMcpArgs().Args = map[string]*structpb.Value{"at": structpb.NewNumberValue(2)}
	for _, m := range []*pb.AgentServerMessage{callOfLook(7, ""), callOfLook(8, ""), callOfLook(6, "toolu_1"), other} {
		r.receive(t, m)
	}
	if n := r.queue.len(); n != 4 {
		t.Errorf("%d calls for the client, want 4", n)
	}
}

// As long as upstream wants one of a call's execs, the client is given the call.
func TestACallIsWithdrawnWithTheLastOfItsExecs(t *testing.T) {
	r := newOfflineRun(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	r.receive(t, callOfLook(8, "toolu_1"))
	r.mu.Lock()
	defer r.mu.Unlock()
	for left, id := range []uint32{8, 7} {
		r.abort(id)
		if n := r.queue.len(); n != 1-left {
			t.Errorf("after %d: %d calls for the client", id, n)
		}
	}
}

func TestAnswersThatAreKeptAreBounded(t *testing.T) {
	var e execs
	for id := range uint32(3) {
		e.keep(answeredExec{id: id, modelID: "call", answers: []*answerMessage{{}}, size: maxAnswers / 2})
	}
	if oldest := e.answeredBefore(0, "call"); oldest == nil || oldest.answers != nil {
		t.Errorf("the oldest answer: %+v", oldest)
	}
	if a := e.answeredBefore(1, "call"); a == nil || a.answers == nil || e.size > maxAnswers {
		t.Errorf("%d bytes are kept", e.size)
	}
}
