package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"unicode/utf8"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// canned answers every request with the same bytes.
type canned []byte

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(c))}, nil
}

// freeAuth has a token for everybody.
type freeAuth struct{}

func (freeAuth) Token(context.Context, agent.Secret) (agent.Secret, error) {
	return agent.NewSecret("token"), nil
}
func (freeAuth) Drop(agent.Secret, agent.Secret) {}

func envelope(m *pb.AgentServerMessage) []byte {
	data, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return connectwire.Append(nil, 0, data)
}

// FuzzAnswer checks, whatever a bridge sends: the answer ends, text is text, and calls are good.
func FuzzAnswer(f *testing.F) {
	text := envelope(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{
		InteractionUpdate: &pb.InteractionUpdate{Message: &pb.InteractionUpdate_TextDelta{TextDelta: &pb.TextDelta{Text: "hello"}}},
	}})
	ended := envelope(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{
		InteractionUpdate: &pb.InteractionUpdate{Message: &pb.InteractionUpdate_TurnEnded{TurnEnded: &pb.TurnEnded{InputTokens: proto.Int64(3)}}},
	}})
	called := envelope(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerMessage{
		ExecServerMessage: &pb.ExecServerMessage{Id: 1, Message: &pb.ExecServerMessage_McpArgs{McpArgs: &pb.McpArgs{
			ToolName: "look", ProviderIdentifier: "custom-user-tools", Args: map[string]*structpb.Value{"path": structpb.NewStringValue("a")},
		}}},
	}})
	end := connectwire.Append(nil, connectwire.EndOfStream, []byte("{}"))
	f.Add(bytes.Join([][]byte{text, ended, end}, nil))
	f.Add(bytes.Join([][]byte{text, called}, nil))
	f.Add(connectwire.Append(nil, connectwire.EndOfStream, []byte(`{"error":{"code":"internal"}}`)))
	f.Add([]byte{0, 0, 0, 0, 1, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		b := New(Config{URL: "http://bridge.test", Auth: freeAuth{}, Transport: canned(stream)})
		a, err := b.ask(t.Context(), backendtest.Request("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		for {
			e, err := a.Next(t.Context())
			switch {
			case err != nil && agent.CodeOf(err) == agent.Internal:
				t.Fatalf("an error without a kind: %v", err)
			case err != nil || e.Kind == agent.DoneKind:
				return
			case e.Kind == agent.Call && (!json.Valid(e.Call.Arguments) || e.Call.Name != "look" && e.Call.Name != "listen"):
				t.Fatalf("call %+v", e.Call)
			case (e.Kind == agent.Text || e.Kind == agent.Reasoning) && (len(e.Text) == 0 || !utf8.Valid(e.Text)):
				t.Fatalf("text %q", e.Text)
			}
		}
	})
}
