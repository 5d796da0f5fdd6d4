package localagent

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/cursorsim"
)

// An announcement that comes after its only call ends the turn: the client need not wait for Settle.
func TestALateAnnouncementEndsTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.Handle("/auth/", cursorsim.New(cursorsim.Config{}))
		mux.HandleFunc("/run", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", connectwire.ContentType)
			w.Write(framed(t, &pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerMessage{ExecServerMessage: &pb.ExecServerMessage{
				Id: 1, ExecId: "exec", Message: &pb.ExecServerMessage_McpArgs{McpArgs: &pb.McpArgs{
					Name: "custom-user-tools-look", ToolName: "look", ProviderIdentifier: "custom-user-tools", ToolCallId: "toolu_1",
				}},
			}}}))
			http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
			w.Write(framed(t, &pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{InteractionUpdate: &pb.InteractionUpdate{
				Message: &pb.InteractionUpdate_ToolRequestsListed{ToolRequestsListed: &pb.ToolRequestsListed{CallCount: 1}},
			}}}))
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		b := backendAt(t, mux)
		begin := time.Now()
		run, err := b.Start(t.Context(), backendtest.Request("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		for {
			e, err := run.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == agent.DoneKind {
				break
			}
		}
		if took := time.Since(begin); took != 50*time.Millisecond {
			t.Errorf("the turn ended after %v", took)
		}
	})
}

// framed is a message of upstream's in its envelope.
func framed(t *testing.T, m *pb.AgentServerMessage) []byte {
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Error(err)
	}
	return connectwire.Append(nil, 0, payload)
}
