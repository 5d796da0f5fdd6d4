package costtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/backend/localagent"
	"composer-api/internal/cli"
	"composer-api/internal/config"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
	"composer-api/internal/memnet"
	"composer-api/internal/store/memstore"
	"composer-api/internal/traces"
)

// A world is a gateway between a client and an upstream.
type world struct {
	client *http.Client
}

// newWorld makes a world whose upstream answers each run by say. It ends with the test.
func newWorld(t testing.TB, say func(prompt []byte, in io.Reader, out *voice)) *world {
	t.Helper()
	return newTracedWorld(t, say, nil)
}

// newTracedWorld is newWorld with traces, which may be nil. They end with it.
func newTracedWorld(t testing.TB, say func(prompt []byte, in io.Reader, out *voice), traced *traces.Traces) *world {
	t.Helper()
	cursor, front := memnet.Listen(), memnet.Listen()
	both := new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	upstream := &http.Server{Protocols: both, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/auth/exchange_user_api_key":
			io.WriteString(w, `{"accessToken":"token","refreshToken":""}`)
		case "/v1/models":
			io.WriteString(w, `{"items":[{"id":"composer-2.5","displayName":"Composer 2.5"}]}`)
		default:
			in := bufio.NewReader(r.Body)
			w.Header().Set("Content-Type", connectwire.ContentType)
			w.WriteHeader(http.StatusOK)
			say(readEnvelope(in), in, &voice{w: w, flush: http.NewResponseController(w).Flush})
		}
	})}
	go upstream.Serve(cursor)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := cursor.Dial(ctx, network, address)
		return patient{c}, err
	}
	outside := &http.Transport{DialContext: cursor.Dial}
	keys := auth.New(auth.Config{BackendBase: "http://cursor", APIBase: "http://cursor", HTTP: &http.Client{Transport: outside}})
	quiet := slog.New(slog.DiscardHandler)
	backend, err := localagent.New(localagent.Config{
		Endpoint: "http://cursor/run", Auth: keys, Transport: localagent.TransportConfig{Dial: dial}, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := cli.Assemble(t.Context(), &config.Config{}, cli.Parts{
		Store: memstore.New(memstore.Config{}).Open(), Auth: keys, Backends: []agent.Backend{backend}, Traces: traced, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	go gateway.Serve(patientListener{front})
	transport := &http.Transport{DialContext: front.Dial, DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		gateway.ShutDown(context.Background(), time.Second)
		front.Close()
		outside.CloseIdleConnections()
		upstream.Close()
		cursor.Close()
	})
	return &world{client: &http.Client{Transport: transport}}
}

// A patient connection has no deadlines for writes. The pipes of package memnet make a timer for each, which sockets do not,
// and how many there are depends on who is faster.
type patient struct{ net.Conn }

func (patient) SetWriteDeadline(time.Time) error { return nil }

// A patientListener accepts patient connections.
type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return patient{c}, nil
}

// ask sends a chat completion and returns its body, which must have been answered with 200.
func (w *world) ask(t testing.TB, body []byte) []byte {
	t.Helper()
	return post(t, w.client, "http://localhost/v1/chat/completions", body)
}

func post(t testing.TB, client *http.Client, url string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer crsr_cost")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", resp.Status, err, answer)
	}
	return answer
}

// readEnvelope reads one message of the client's; nil when there is no more.
func readEnvelope(in io.Reader) []byte {
	var header [connectwire.HeaderLen]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return nil
	}
	payload := make([]byte, binary.BigEndian.Uint32(header[1:]))
	if _, err := io.ReadFull(in, payload); err != nil {
		return nil
	}
	return payload
}

// A voice says things to one run.
type voice struct {
	w     io.Writer
	flush func() error
}

// word is a piece of text in its envelope.
var word = envelope(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{
	InteractionUpdate: &pb.InteractionUpdate{Message: &pb.InteractionUpdate_TextDelta{TextDelta: &pb.TextDelta{Text: "word "}}},
}})

// words says n words, each in a write of its own.
func (v *voice) words(n int) {
	for range n {
		v.w.Write(word)
		v.flush()
	}
}

// call announces a call of the tool "look" and makes it.
func (v *voice) call() {
	v.w.Write(envelope(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{
		InteractionUpdate: &pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolRequestsListed{ToolRequestsListed: &pb.ToolRequestsListed{CallCount: 1}}},
	}}))
	v.w.Write(envelope(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerMessage{ExecServerMessage: &pb.ExecServerMessage{
		Id: 1, ExecId: "exec", Message: &pb.ExecServerMessage_McpArgs{McpArgs: &pb.McpArgs{
			Name: "custom-user-tools-look", ToolName: "look", ProviderIdentifier: "custom-user-tools", ToolCallId: "toolu_1",
		}},
	}}}))
	v.flush()
}

// end ends the run with a whole answer, and without a checkpoint: nothing of the conversation is remembered.
func (v *voice) end() {
	v.w.Write(envelope(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{
		InteractionUpdate: &pb.InteractionUpdate{Message: &pb.InteractionUpdate_TurnEnded{TurnEnded: &pb.TurnEnded{InputTokens: proto.Int64(10), OutputTokens: proto.Int64(1)}}},
	}}))
	v.w.Write(connectwire.Append(nil, connectwire.EndOfStream, []byte("{}")))
	v.flush()
}

func envelope(m *pb.AgentServerMessage) []byte {
	payload, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return connectwire.Append(nil, 0, payload)
}

// A message of a chat completion, as a client sends it.
type message struct {
	Role       string `json:"role"`
	Content    string `json:"content"`
	ToolCalls  []call `json:"tool_calls,omitempty"`
	ToolCallID string `json:"tool_call_id,omitempty"`
}

type call struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// look is a call of the tool with these arguments.
func look(id, arguments string) call {
	c := call{ID: id, Type: "function"}
	c.Function.Name, c.Function.Arguments = "look", arguments
	return c
}

// request is a chat completion with these messages, which offers the tool "look".
func request(messages ...message) []byte {
	body, err := json.Marshal(map[string]any{
		"model": "composer-2.5", "stream": true, "messages": messages,
		"tools": []any{map[string]any{"type": "function", "function": map[string]any{"name": "look", "parameters": map[string]any{"type": "object"}}}},
	})
	if err != nil {
		panic(err)
	}
	return body
}

// conversation is an agent's transcript of about so many bytes in 200 messages, which ends where the user's next is due.
// Those of different seeds have no message in common.
func conversation(size, seed int) []message {
	const n = 200
	line := "\tif err := run(ctx, \"step\"); err != nil {\n\t\treturn fmt.Errorf(\"step: %w\", err)\n\t}\n"
	var all []message
	for i := 0; len(all) < n; i++ {
		id := fmt.Sprintf("call_%d", i/4)
		text := fmt.Sprintf("Message %d of %d.\n", i, seed) + strings.Repeat(line, max(1, size/n/(len(line)+14)))
		switch i % 4 {
		case 0:
			all = append(all, message{Role: "user", Content: text})
		case 1:
			arguments, _ := json.Marshal(map[string]string{"path": "a.go", "why": text})
			all = append(all, message{Role: "assistant", ToolCalls: []call{look(id, string(arguments))}})
		case 2:
			all = append(all, message{Role: "tool", ToolCallID: id, Content: text})
		case 3:
			all = append(all, message{Role: "assistant", Content: text})
		}
	}
	return all
}
