package cursorsim

import (
	"bytes"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
)

func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(nil, 0, []byte("plain")))
	f.Add(appendFrame(appendFrame(nil, flagGzip, gzipped([]byte("compressed"))), flagEnd, []byte("{}")))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := newInbox()
		in.readAll(bytes.NewReader(data))
		items := in.take()
		if len(items) == 0 {
			t.Fatal("the end was not noticed")
		}
		if last := items[len(items)-1]; !last.eof && last.err == nil {
			t.Fatal("the last item is not the end")
		}
	})
}

// Whatever a client sends, the simulator ends the run and does not fall over.
func FuzzClientMessages(f *testing.F) {
	seed, _ := proto.Marshal(&pb.AgentClientMessage{Message: &pb.AgentClientMessage_ExecClientMessage{
		ExecClientMessage: &pb.ExecClientMessage{Id: 1, Message: &pb.ExecClientMessage_McpResult{McpResult: &pb.McpResult{}}},
	}})
	f.Add(seed)
	cancel, _ := proto.Marshal(&pb.AgentClientMessage{Message: &pb.AgentClientMessage_ConversationAction{
		ConversationAction: &pb.ConversationAction{Action: &pb.ConversationAction_CancelAction{CancelAction: &pb.CancelAction{}}},
	}})
	f.Add(cancel)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(pb.AgentClientMessage)
		if proto.Unmarshal(data, m) != nil {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			sim, c := newClient(t, Config{})
			c.tools, c.greeting = []string{"read"}, m
			c.prompt("call read {}")
			synctest.Wait()
			if r := sim.Runs()[0]; r.End == "" {
				t.Error("the run goes on")
			}
			for _, v := range sim.Runs() {
				if _, err := (Message[*pb.AgentRunRequest]{v.Request.Msg}).MarshalJSON(); err != nil {
					t.Error(err)
				}
			}
		})
	})
}
