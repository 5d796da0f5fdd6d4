package cursorsim

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/memnet"
)

// A client speaks the protocol as it should be spoken, but for its sins, and writes down what the server says. It shares
// the framing with the simulator, which the SDK's tests and those of the gateway's own client do not.
type client struct {
	t     *testing.T
	http  *http.Client
	token string

	tools []string
	// sins are what it does wrong; see the places where has is asked.
	sins []string
	// think is how long a tool takes.
	think time.Duration

	// sse speaks HTTP/1.1's fall-back: every second message overtakes the one before.
	sse bool

	// greeting is sent after the run request; nil is nothing.
	greeting *pb.AgentClientMessage

	conversation string
	blobKey      string
	state        *pb.ConversationState // of the last checkpoint
	blobs        map[string][]byte
	runs         int
	requests     int
}

// newClient starts a simulator in memory and a client of it. Both end with the test.
func newClient(t *testing.T, config Config) (*Sim, *client) {
	sim := New(config)
	listener := memnet.Listen()
	server := sim.server()
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(listener) }()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := listener.Transport(protocols)
	transport.DisableCompression = true
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	c := &client{
		t: t, http: &http.Client{Transport: transport}, conversation: "agent-1",
		blobKey: strings.Repeat("0f", 32), state: &pb.ConversationState{}, blobs: map[string][]byte{},
	}
	c.token = c.exchange("crsr_ada")
	return sim, c
}

func (c *client) has(sin string) bool { return slices.Contains(c.sins, sin) }

func (c *client) exchange(key string) string {
	req, _ := http.NewRequestWithContext(c.t.Context(), "POST", "http://sim/auth/exchange_user_api_key", strings.NewReader("{}"))
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"accessToken"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("exchange: %s %v", resp.Status, err)
	}
	return answer.AccessToken
}

// stream is one run of a client.
type stream struct {
	*client
	runID string
	body  *io.PipeWriter
	mu    sync.Mutex // the body
	heard strings.Builder
	open  sync.WaitGroup
	// sse
	requestID string
	seq       int64
}

// prompt runs a turn to its end and returns what the server said, a line each.
func (c *client) prompt(text string) string {
	return c.run(context.Background(), userMessage(text))
}

func userMessage(text string) *pb.ConversationAction {
	return &pb.ConversationAction{Action: &pb.ConversationAction_UserMessageAction{
		UserMessageAction: &pb.UserMessageAction{UserMessage: &pb.UserMessage{Text: text}},
	}}
}

// resume carries on after a broken stream.
func (c *client) resume() string {
	return c.run(context.Background(), &pb.ConversationAction{Action: &pb.ConversationAction_ResumeAction{ResumeAction: &pb.ResumeAction{}}})
}

func (c *client) run(ctx context.Context, action *pb.ConversationAction) string {
	if action.GetResumeAction() == nil {
		c.runs++
	}
	c.requests++
	body, w := io.Pipe()
	s := &stream{client: c, body: w, runID: fmt.Sprintf("run-%d", c.runs), requestID: fmt.Sprintf("request-%d", c.requests)}
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://sim/agent.v1.AgentService/Run", body)
	if c.sse {
		id, _ := proto.Marshal(&pb.BidiRequestId{RequestId: s.requestID})
		req, _ = http.NewRequestWithContext(ctx, "POST", "http://sim/agent.v1.AgentService/RunSSE", bytes.NewReader(appendFrame(nil, 0, id)))
	}
	// Canceling alone resets nothing while the body is an open pipe.
	defer context.AfterFunc(ctx, func() { body.CloseWithError(ctx.Err()) })()
	c.header(req, s.requestID, s.runID)
	stop := make(chan struct{})
	s.open.Go(func() {
		s.send(&pb.AgentClientMessage{Message: &pb.AgentClientMessage_RunRequest{RunRequest: c.request(s.runID, action)}})
	})
	if !c.has("no heartbeat") {
		s.open.Go(func() { s.every(clientHeartbeat, stop, heartbeat) })
	}
	resp, err := c.http.Do(req)
	if err != nil {
		s.say("no answer: %v", err)
	} else {
		s.listen(resp)
		resp.Body.Close()
	}
	close(stop)
	w.Close()
	body.Close()
	s.open.Wait()
	return s.heard.String()
}

func (c *client) header(req *http.Request, requestID, runID string) {
	h := req.Header
	h.Set("Authorization", "Bearer "+c.token)
	h.Set("Content-Type", "application/connect+proto")
	h.Set("Connect-Protocol-Version", "1")
	h.Set("Connect-Accept-Encoding", "gzip")
	h.Set("X-Cursor-Client-Type", "sdk")
	h.Set("X-Cursor-Client-Version", "sdk-1.0.13")
	h.Set("X-Ghost-Mode", "true")
	h.Set("X-Request-Id", requestID)
	h.Set("X-Original-Request-Id", runID)
	h.Set("X-Blob-Encryption-Key", c.blobKey)
	switch {
	case c.has("no tool restriction"):
	case len(c.tools) > 0:
		h.Set("X-Cursor-Agent-Allowed-Tools", allowMCP)
	default:
		h["X-Cursor-Agent-Allowed-Tools"] = []string{""}
	}
}

func (c *client) request(runID string, action *pb.ConversationAction) *pb.AgentRunRequest {
	r := &pb.AgentRunRequest{
		ConversationState: c.state, Action: action, McpTools: &pb.McpTools{McpTools: c.definitions()},
		ConversationId: &c.conversation, RunId: &runID,
		RequestedModel: &pb.RequestedModel{ModelId: "composer-2.5", Parameters: []*pb.RequestedModel_Param{{Id: "fast", Value: "false"}}},
	}
	if c.has("no state") {
		r.ConversationState = nil
	}
	return r
}

func (c *client) definitions() []*pb.McpToolDefinition {
	var all []*pb.McpToolDefinition
	for _, name := range c.tools {
		schema, _ := structpb.NewValue(map[string]any{"type": "object"})
		all = append(all, &pb.McpToolDefinition{Name: toolPrefix + name, ToolName: name, ProviderIdentifier: provider, InputSchema: schema})
	}
	return all
}

var heartbeat = &pb.AgentClientMessage{Message: &pb.AgentClientMessage_ClientHeartbeat{ClientHeartbeat: &pb.ClientHeartbeat{}}}

func (s *stream) every(d time.Duration, stop <-chan struct{}, m *pb.AgentClientMessage) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.send(m)
		case <-stop:
			return
		}
	}
}

func (s *stream) send(m *pb.AgentClientMessage) {
	data, err := proto.Marshal(m)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sse {
		s.body.Write(appendFrame(nil, 0, data))
		return
	}
	seq := s.seq
	s.seq++
	s.open.Go(func() {
		if seq%2 == 0 {
			time.Sleep(50 * time.Millisecond)
		}
		s.append(s.requestID, seq, data)
	})
}

func (s *stream) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.heard, format+"\n", args...)
}

// listen reads the answer to its end.
func (s *stream) listen(resp *http.Response) {
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		s.say("status %d %s%s", resp.StatusCode, resp.Header.Get("Retry-After"), bytes.TrimSpace(body))
		return
	}
	for {
		flags, payload, err := readFrame(resp.Body)
		if err != nil {
			s.say("broken")
			return
		}
		if flags&flagEnd != 0 {
			s.say("end %s", payload)
			return
		}
		m := new(pb.AgentServerMessage)
		if err := proto.Unmarshal(payload, m); err != nil {
			s.say("garbage")
			continue
		}
		s.hear(m)
	}
}

func (s *stream) hear(m *pb.AgentServerMessage) {
	switch m := m.GetMessage().(type) {
	case *pb.AgentServerMessage_InteractionUpdate:
		s.hearUpdate(m.InteractionUpdate)
	case *pb.AgentServerMessage_ExecServerMessage:
		s.exec(m.ExecServerMessage)
	case *pb.AgentServerMessage_ExecServerControlMessage:
		s.say("abort %d", m.ExecServerControlMessage.GetAbort().GetId())
	case *pb.AgentServerMessage_ConversationCheckpointUpdate:
		c := m.ConversationCheckpointUpdate
		s.state = c
		s.say("checkpoint turns=%d used=%d max=%d", len(c.Turns), c.TokenDetails.UsedTokens, c.TokenDetails.MaxTokens)
	case *pb.AgentServerMessage_KvServerMessage:
		s.kv(m.KvServerMessage)
	case *pb.AgentServerMessage_InteractionQuery:
		s.say("query %d", m.InteractionQuery.GetId())
		response := &pb.InteractionResponse{Id: m.InteractionQuery.GetId()}
		if !s.has("shrugs") {
			response.Result = &pb.InteractionResponse_WebSearchRequestResponse{WebSearchRequestResponse: &pb.ApproveOrReject{
				Result: &pb.ApproveOrReject_Rejected{Rejected: &pb.Reason{Reason: "no user"}},
			}}
		}
		s.send(&pb.AgentClientMessage{Message: &pb.AgentClientMessage_InteractionResponse{InteractionResponse: response}})
	default:
		s.say("unknown message")
	}
}

func (s *stream) hearUpdate(u *pb.InteractionUpdate) {
	switch u := u.GetMessage().(type) {
	case *pb.InteractionUpdate_TextDelta:
		s.say("text %q", u.TextDelta.GetText())
	case *pb.InteractionUpdate_ThinkingDelta:
		s.say("think %q", u.ThinkingDelta.GetText())
	case *pb.InteractionUpdate_ToolCallStarted:
		s.say("reported %s", u.ToolCallStarted.GetToolCall().GetMcpToolCall().GetArgs().GetToolName())
	case *pb.InteractionUpdate_ToolRequestsListed:
		s.say("announced %d", u.ToolRequestsListed.GetCallCount())
	case *pb.InteractionUpdate_TokenDelta:
		s.say("tokens %d", u.TokenDelta.GetTokens())
	case *pb.InteractionUpdate_Heartbeat:
		s.say("heartbeat")
	case *pb.InteractionUpdate_TurnEnded:
		e := u.TurnEnded
		s.say("turn ended input=%d output=%d cache_read=%d cache_write=%d reasoning=%d", e.GetInputTokens(), e.GetOutputTokens(),
			e.GetCacheReadTokens(), e.GetCacheWriteTokens(), e.GetReasoningTokens())
	case nil:
		s.say("unknown update")
	}
}

func (s *stream) kv(m *pb.KvServerMessage) {
	answer := &pb.KvClientMessage{Id: m.GetId()}
	if set := m.GetSetBlobArgs(); set != nil {
		s.blobs[string(set.GetBlobId())] = set.GetBlobData()
		answer.Message = &pb.KvClientMessage_SetBlobResult{SetBlobResult: &pb.SetBlobResult{}}
		s.say("set blob")
	} else {
		data, ok := s.blobs[string(m.GetGetBlobArgs().GetBlobId())]
		result := &pb.GetBlobResult{}
		if ok && !s.has("loses blobs") {
			result.BlobData = data
		}
		if s.has("mixes up blobs") {
			result.BlobData = []byte("other")
		}
		answer.Message = &pb.KvClientMessage_GetBlobResult{GetBlobResult: result}
		s.say("get blob")
	}
	s.send(&pb.AgentClientMessage{Message: &pb.AgentClientMessage_KvClientMessage{KvClientMessage: answer}})
}

// exec answers an operation. Calls of tools are answered after a while, with heartbeats; everything else at once.
func (s *stream) exec(m *pb.ExecServerMessage) {
	answer := &pb.ExecClientMessage{Id: m.GetId()}
	later := false
	switch x := m.GetMessage().(type) {
	case *pb.ExecServerMessage_RequestContextArgs:
		answer.Message = &pb.ExecClientMessage_RequestContextResult{RequestContextResult: s.context()}
	case *pb.ExecServerMessage_McpStateExecArgs:
		answer.Message = &pb.ExecClientMessage_McpStateExecResult{McpStateExecResult: &pb.McpStateExecResult{
			Result: &pb.McpStateExecResult_Success{Success: &pb.McpStateSuccess{
				Servers: []*pb.McpStateServer{{ServerName: provider, ServerIdentifier: provider, Tools: s.definitions()}},
			}},
		}}
	case *pb.ExecServerMessage_McpAllowlistPrecheckArgs:
		answer.Message = &pb.ExecClientMessage_McpAllowlistPrecheckResult{McpAllowlistPrecheckResult: &pb.McpAllowlistPrecheckResult{}}
	case *pb.ExecServerMessage_McpArgs:
		args, _ := json.Marshal((&structpb.Struct{Fields: x.McpArgs.GetArgs()}).AsMap())
		s.say("call %s %s", x.McpArgs.GetToolName(), args)
		later = true
		answer.Message = &pb.ExecClientMessage_McpResult{McpResult: s.result(x.McpArgs.GetToolName(), string(args))}
	case *pb.ExecServerMessage_ShellArgs:
		s.say("shell %s", x.ShellArgs.GetCommand())
		answer.Message = &pb.ExecClientMessage_ShellResult{ShellResult: &pb.ShellResult{
			Result: &pb.ShellResult_Rejected{Rejected: &pb.ShellRejected{Command: x.ShellArgs.GetCommand(), Reason: "use bash"}},
		}}
	case *pb.ExecServerMessage_ReadArgs:
		s.say("read %s", x.ReadArgs.GetPath())
		answer.Message = &pb.ExecClientMessage_ReadResult{ReadResult: &pb.ReadResult{
			Result: &pb.ReadResult_Success{Success: &pb.ReadSuccess{Path: x.ReadArgs.GetPath(), Output: &pb.ReadSuccess_Content{Content: "its text"}}},
		}}
	default:
		s.say("unknown exec")
		s.throw(m.GetId(), "unknown")
		return
	}
	if s.has("throws at everything") {
		s.throw(m.GetId(), "broken")
		return
	}
	if m.GetShellArgs() != nil && s.has("throws at shell") {
		s.throw(m.GetId(), "no shell here")
		return
	}
	if !later || s.think == 0 {
		s.answer(answer)
		return
	}
	s.open.Go(func() {
		stop := make(chan struct{})
		if !s.has("no exec heartbeat") {
			go s.every(execHeartbeat, stop, controlMessage(&pb.ExecClientControlMessage{
				Message: &pb.ExecClientControlMessage_Heartbeat{Heartbeat: &pb.ExecHeartbeat{Id: m.GetId()}},
			}))
		}
		time.Sleep(s.think)
		close(stop)
		s.answer(answer)
	})
}

func (s *stream) throw(id uint32, reason string) {
	s.control(&pb.ExecClientControlMessage{Message: &pb.ExecClientControlMessage_Throw{Throw: &pb.ExecThrow{Id: id, Error: reason}}})
	s.close(id)
}

func (s *stream) answer(m *pb.ExecClientMessage) {
	answer := &pb.AgentClientMessage{Message: &pb.AgentClientMessage_ExecClientMessage{ExecClientMessage: m}}
	s.send(answer)
	if s.has("answers twice") {
		s.send(answer)
	}
	if !s.has("no stream_close") {
		s.close(m.GetId())
	}
}

func controlMessage(m *pb.ExecClientControlMessage) *pb.AgentClientMessage {
	return &pb.AgentClientMessage{Message: &pb.AgentClientMessage_ExecClientControlMessage{ExecClientControlMessage: m}}
}

func (s *stream) control(m *pb.ExecClientControlMessage) { s.send(controlMessage(m)) }

func (s *stream) close(id uint32) {
	s.control(&pb.ExecClientControlMessage{Message: &pb.ExecClientControlMessage_StreamClose{StreamClose: &pb.ExecStreamClose{Id: id}}})
}

func (s *stream) result(tool, args string) *pb.McpResult {
	if !slices.Contains(s.tools, tool) && !s.has("invents tools") {
		return &pb.McpResult{Result: &pb.McpResult_ToolNotFound{ToolNotFound: &pb.McpToolNotFound{Name: tool}}}
	}
	return &pb.McpResult{Result: &pb.McpResult_Success{Success: &pb.McpSuccess{
		Content: []*pb.McpContent{{Content: &pb.McpContent_Text{Text: &pb.McpText{Text: tool + " did " + args}}}},
	}}}
}

func (s *stream) context() *pb.RequestContextResult {
	yes := true
	c := &pb.RequestContext{
		Env:                 &pb.RequestContextEnv{OsVersion: "linux 6.1", Shell: "bash", TimeZone: "UTC"},
		Tools:               s.definitions(),
		GitRepoInfoComplete: &yes,
	}
	if len(s.tools) > 0 {
		d := &pb.McpDescriptor{ServerName: provider, ServerIdentifier: provider}
		for _, name := range s.tools {
			d.Tools = append(d.Tools, &pb.McpToolDescriptor{ToolName: name})
		}
		c.McpMetaToolOptions = &pb.McpMetaToolOptions{Enabled: true, McpDescriptors: []*pb.McpDescriptor{d}}
	}
	if s.has("no tools in context") {
		c.Tools = nil
	}
	return &pb.RequestContextResult{Result: &pb.RequestContextResult_Success{Success: &pb.RequestContextSuccess{RequestContext: c}}}
}

// append sends one message of the fall-back.
func (c *client) append(requestID string, seq int64, message []byte) {
	body, _ := proto.Marshal(&pb.BidiAppendRequest{
		Data: hex.EncodeToString(message), RequestId: &pb.BidiRequestId{RequestId: requestID}, AppendSeqno: seq,
	})
	req, _ := http.NewRequestWithContext(context.Background(), "POST", "http://sim/aiserver.v1.BidiService/BidiAppend", bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/proto")
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		c.t.Error(resp.Status)
	}
}
