package localagent

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"
)

func (r *rig) start(t *testing.T, req *agent.Request) agent.Run {
	t.Helper()
	run, err := r.Start(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	return run
}

func collect(t *testing.T, run agent.Run) backendtest.Turn {
	t.Helper()
	turn, err := backendtest.Collect(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

func resume(t *testing.T, run agent.Run, turn backendtest.Turn) {
	t.Helper()
	var results []agent.ToolResult
	for _, c := range turn.Calls {
		results = append(results, agent.ToolResult{CallID: c.ID, Parts: []agent.Part{{Text: "done"}}})
	}
	if err := run.Resume(t.Context(), results); err != nil {
		t.Fatal(err)
	}
}

func TestFollowUpSendsOnlyWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn\nset-blob a one\ntext one\nturn when continued\nget-blob a\ntext two", cursorsim.Config{}, nil)
		req := backendtest.Request("first")
		done := collect(t, r.start(t, req)).Done
		req.Messages = append(req.Messages,
			agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: "one"}}},
			agent.Message{Role: agent.User, Parts: []agent.Part{{Text: "second"}}})
		req.Continue, req.New = done.Conversation, 2
		if turn := collect(t, r.start(t, req)); turn.Text != "two" || turn.Done.Conversation == nil {
			t.Errorf("got %+v", turn)
		}
		first, second := r.sim.Runs()[0], r.sim.Runs()[1]
		if second.Prompt != "second" || !second.Continued || second.Resume {
			t.Errorf("the follow-up: prompt %q, continued %v, resumed %v", second.Prompt, second.Continued, second.Resume)
		}
		if first.ConversationID != second.ConversationID || first.BlobKey != second.BlobKey || first.RunID == second.RunID {
			t.Error("the conversation id and its blob key must stay, the run id must not")
		}
		r.noViolations(t)
	})
}

func TestLostBlobIsALostConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always\ntext one", cursorsim.Config{}, nil)
		req := backendtest.Request("first")
		c := collect(t, r.start(t, req)).Done.Conversation.(*conversation)
		req.Continue, req.New = newConversation(c.id, c.blobKey, c.checkpoint, nil, false), 0
		_, err := backendtest.Collect(t.Context(), r.start(t, req))
		if agent.CodeOf(err) != agent.ConversationLost {
			t.Errorf("got %v, want conversation_lost", err)
		}
	})
}

func TestConversationWithTooManyBlobsIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn\nset-blob a "+strings.Repeat("x", 2000)+"\ntext one", cursorsim.Config{}, func(c *Config) { c.MaxBlobs = 1000 })
		if turn := collect(t, r.start(t, backendtest.Request("first"))); turn.Text != "one" || turn.Done.Conversation != nil {
			t.Errorf("got %+v", turn)
		}
	})
}

func TestConversationOpensUnderTheIDThatIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always\ntext one", cursorsim.Config{}, nil)
		req := backendtest.Request("first")
		req.ConversationID = "agent-of-a-session"
		for range 2 { // the second stands for another process: it must come to the same blob key
			collect(t, r.start(t, req))
		}
		runs := r.sim.Runs()
		if runs[0].ConversationID != "agent-of-a-session" || runs[0].BlobKey != runs[1].BlobKey {
			t.Errorf("%s with blob keys %s and %s", runs[0].ConversationID, runs[0].BlobKey, runs[1].BlobKey)
		}
	})
}

func TestThousandParkedRunsAreAllResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		dials := 0
		r := newRig(t, "turn always\ncall look {\"path\":\"{prompt}\"}\ntext {prompt}: {result 1}", cursorsim.Config{}, func(c *Config) {
			dial := c.Transport.Dial
			c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dials++
				return dial(ctx, network, address)
			}
		})
		runs, turns := make([]agent.Run, n), make([]backendtest.Turn, n)
		for i := range n {
			runs[i] = r.start(t, backendtest.Request(fmt.Sprint("p", i)))
			turns[i] = collect(t, runs[i])
		}
		time.Sleep(21 * time.Second)
		for i := range n {
			resume(t, runs[i], turns[i])
		}
		for i := range n {
			if turn := collect(t, runs[i]); turn.Text != fmt.Sprintf("p%d: done", i) {
				t.Fatalf("run %d: %q", i, turn.Text)
			}
			runs[i].Close()
		}
		if dials < n/100 || dials > n/25 {
			t.Errorf("%d connections for %d runs", dials, n)
		}
		synctest.Wait()
		r.noViolations(t)
	})
}

func TestFinishedRunsLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always when not prompt \"park\"\nsay one two\nturn always when prompt \"park\"\ncall look {}\ntext done", cursorsim.Config{}, nil)
		play := func(prompt string, carryOn bool) {
			run := r.start(t, backendtest.Request(prompt))
			turn := collect(t, run)
			if carryOn {
				resume(t, run, turn)
				collect(t, run)
			}
			run.Close()
		}
		play("warm up", false) // the connection's goroutines stay
		synctest.Wait()
		before := runtime.NumGoroutine()
		const times = 20
		for range times {
			play("plain", false)
			play("park", true)
			play("park", false) // closed while parked
		}
		synctest.Wait()
		// The whole process is counted, where the runtime may begin one or two of its own at any time.
		if more := runtime.NumGoroutine() - before; more >= times {
			t.Errorf("%d goroutines more after %d runs of each kind", more, times)
		}
		r.pacer.mu.Lock()
		defer r.pacer.mu.Unlock()
		if len(r.pacer.alarms) > 0 || r.pacer.ringing {
			t.Errorf("%d alarms left, ringing: %v", len(r.pacer.alarms), r.pacer.ringing)
		}
	})
}

func TestCloseResetsTheStreamAtOnce(t *testing.T) {
	for _, tt := range []struct{ name, script string }{
		{"while the model is silent", "turn\ntext one\nhold"},
		{"while parked", "turn\ncall look {}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, tt.script, cursorsim.Config{}, nil)
				run := r.start(t, backendtest.Request("hello"))
				if _, err := run.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
				run.Close()
				closed := time.Now()
				synctest.Wait()
				if rec := r.sim.Runs()[0]; rec.End != cursorsim.EndedLeft || rec.Ended.After(closed) {
					t.Errorf("upstream's stream ended %q at %v, closed at %v", rec.End, rec.Ended, closed)
				}
			})
		})
	}
}

func TestCloseEndsTheWaitForAnotherAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always\ncut", cursorsim.Config{}, nil)
		run := r.start(t, backendtest.Request("hello"))
		start := time.Now()
		time.AfterFunc(100*time.Millisecond, func() { run.Close() })
		_, err := run.Next(t.Context())
		if agent.CodeOf(err) != agent.Canceled || time.Since(start) != 100*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestTurnsContextDoesNotEndAParkedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn\ncall look {}\ntext done", cursorsim.Config{}, nil)
		run := r.start(t, backendtest.Request("hello"))
		ctx, cancel := context.WithCancel(t.Context())
		turn, err := backendtest.Collect(ctx, run)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Minute)
		resume(t, run, turn)
		if turn := collect(t, run); turn.Text != "done" {
			t.Errorf("got %+v", turn)
		}
	})
}

func TestStreamThatBreaksWhileParkedFailsOnResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var conns []net.Conn
		r := newRig(t, "turn\ncall look {}\ntext done", cursorsim.Config{}, func(c *Config) {
			dial := c.Transport.Dial
			c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				conns = append(conns, conn)
				return conn, err
			}
		})
		run := r.start(t, backendtest.Request("hello"))
		turn := collect(t, run)
		conns[0].Close()
		synctest.Wait()
		err := run.Resume(t.Context(), []agent.ToolResult{{CallID: turn.Calls[0].ID}})
		if agent.CodeOf(err) != agent.Upstream {
			t.Errorf("got %v, want upstream", err)
		}
	})
}

func TestRunThatEndsWhileParkedGivesItsAnswer(t *testing.T) {
	for name, c := range map[string]struct{ script, rest string }{
		"with text":    {"turn\ncalls 1\ncall look {}\ndelay 5s\nabort 1\nend\ntext went on without it", "went on without it"},
		"without text": {"turn\ncalls 1\ncall look {}\ndelay 5s\nabort 1\nend", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, c.script, cursorsim.Config{}, nil)
				run := r.start(t, backendtest.Request("hello"))
				turn := collect(t, run)
				time.Sleep(20 * time.Second)
				resume(t, run, turn)
				rest := collect(t, run)
				if rest.Text != c.rest || rest.Done.Reason != agent.Stop || rest.Usage == nil {
					t.Errorf("got %q, done %+v, usage %+v", rest.Text, rest.Done, rest.Usage)
				}
				if _, err := run.Next(t.Context()); err == nil {
					t.Error("something comes after the end")
				}
				r.noViolations(t)
			})
		})
	}
}

func TestUpstreamThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := cursorsim.New(cursorsim.Config{})
		b := backendAt(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.HasPrefix(req.URL.Path, "/auth") {
				sim.ServeHTTP(w, req)
				return
			}
			<-req.Context().Done()
		}))
		start := time.Now()
		_, err := b.Start(t.Context(), backendtest.Request("hello"))
		if agent.CodeOf(err) != agent.UpstreamTimeout || time.Since(start) != 25*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestWhatIsNoStreamSaysWhatToCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "", cursorsim.Config{}, func(c *Config) { c.Endpoint = "http://cursor/v1/models" })
		_, err := r.Start(t.Context(), backendtest.Request("hello"))
		if agent.CodeOf(err) != agent.NotConfigured || !strings.Contains(agent.AsError(err).UserMessage(), "CURSOR_LOCAL_AGENT_ENDPOINT") {
			t.Errorf("got %v", err)
		}
	})
}

func TestErrorsNeverHoldTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn\nerror internal retryable=false The key crsr_exam is strange.", cursorsim.Config{}, nil)
		_, err := backendtest.Collect(t.Context(), r.start(t, backendtest.Request("hello")))
		if err == nil || strings.Contains(err.Error(), "crsr_exam") {
			t.Errorf("got %v", err)
		}
	})
}

func TestImagesGoBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn\ncall look {}\ntext done", cursorsim.Config{}, nil)
		req := backendtest.Request("what is this?")
		image := &agent.Image{MIME: "image/png", Data: []byte("png")}
		req.Messages[0].Parts = append(req.Messages[0].Parts, agent.Part{Image: image})
		run := r.start(t, req)
		call := collect(t, run).Calls[0]
		run.Resume(t.Context(), []agent.ToolResult{{CallID: call.ID, IsError: true, Parts: []agent.Part{{Text: "see"}, {Image: image}}}})
		collect(t, run)
		rec := r.sim.Runs()[0]
		sent := rec.Request.Msg.GetAction().GetUserMessageAction().GetUserMessage().GetSelectedContext().GetSelectedImages()
		if len(sent) != 1 || string(sent[0].GetData()) != "png" || sent[0].GetMimeType() != "image/png" || sent[0].GetUuid() == "" {
			t.Errorf("the user's image: %v", sent)
		}
		success := rec.Execs[len(rec.Execs)-1].Answer.Msg.GetMcpResult().GetSuccess()
		if c := success.GetContent(); !success.GetIsError() || len(c) != 2 || c[0].GetText().GetText() != "see" || string(c[1].GetImage().GetData()) != "png" {
			t.Errorf("the tool's result: %v", success)
		}
	})
}

// A bareRun is a run on a stream that reads from src; what it sends stays in its outbox.
func bareRun(t testing.TB, src io.Reader, tools ...agent.Tool) *run {
	b, err := New(Config{Endpoint: "http://cursor/run"})
	if err != nil {
		t.Fatal(err)
	}
	req := backendtest.Request("hello")
	req.Tools = tools
	r := newRun(b, req)
	r.stream = &stream{out: newOutbox(), in: connectwire.NewReader(src, 0), body: io.NopCloser(src), cancel: func(error) {}}
	t.Cleanup(func() { r.Close() })
	return r
}

// longRequest is a conversation of 200 messages, 1 MB in all.
func longRequest() *agent.Request {
	req := backendtest.Request("")
	req.Messages = nil
	for i := range 200 {
		role := agent.User
		if i%2 == 1 {
			role = agent.Assistant
		}
		req.Messages = append(req.Messages, agent.Message{Role: role, Parts: []agent.Part{{Text: strings.Repeat("lorem ipsum ", 450)}}})
	}
	return req
}

func TestTextCostsNoAllocation(t *testing.T) {
	message := connectwire.Append(nil, 0, textMessage("hello, ůň "))
	data := bytes.Repeat(message, 10)
	src := bytes.NewReader(nil)
	r := bareRun(t, src)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := 0
	play := func() {
		src.Reset(data)
		for range 10 {
			r.Buffered()
			e, err := r.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got += len(e.Text)
		}
	}
	play()
	if allocs := testing.AllocsPerRun(100, play); allocs != 0 {
		t.Errorf("%v allocations for ten events, want 0", allocs)
	}
	if want := 102 * 10 * len("hello, ůň "); got != want {
		t.Errorf("%d bytes of text, want %d", got, want)
	}
}

func TestBufferedLooksPastWhatIsNoEvent(t *testing.T) {
	tokens := updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_TokenDelta{TokenDelta: &pb.TokenDelta{Tokens: 3}}})
	half := bytes.Replace(textMessage("hi"), []byte("hi"), []byte("\xc5"), 1)
	var burst []byte
	for _, m := range [][]byte{textMessage("one"), tokens, tokens, textMessage("two"), tokens, half} {
		burst = connectwire.Append(burst, 0, m)
	}
	src, more := io.Pipe()
	go func() { more.Write(burst) }()
	r := bareRun(t, src)
	var got []string
	for range 2 {
		e, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text := string(e.Text)
		buffered := r.Buffered()
		got = append(got, fmt.Sprint(string(e.Text) == text, text, buffered))
	}
	if want := "[trueonetrue truetwofalse]"; strings.ReplaceAll(fmt.Sprint(got), " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %v", got)
	}
	if r.meter.tokens != 9 {
		t.Errorf("%d tokens counted, want 9", r.meter.tokens)
	}
}

func TestEditIsNeverTurnedIntoAWrite(t *testing.T) {
	schema := []byte(`{"properties":{"path":{"type":"string"},"content":{"type":"string"}}}`)
	write := func(id uint32, callID string) []byte {
		return encode(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerMessage{ExecServerMessage: &pb.ExecServerMessage{
			Id: id, Message: &pb.ExecServerMessage_WriteArgs{WriteArgs: &pb.WriteArgs{Path: "/a", FileText: "x", ToolCallId: callID}},
		}}})
	}
	read := encode(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerMessage{ExecServerMessage: &pb.ExecServerMessage{
		Id: 1, Message: &pb.ExecServerMessage_ReadArgs{ReadArgs: &pb.ReadArgs{Path: "/a", ToolCallId: "edit-1"}},
	}}})
	mirror := updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolCallStarted{ToolCallStarted: &pb.ToolCallEvent{
		CallId: "edit-2", ToolCall: &pb.ToolCall{Tool: &pb.ToolCall_EditToolCall{EditToolCall: &pb.Opaque{}}},
	}}})
	r := bareRun(t, strings.NewReader(""), agent.Tool{Name: "write", Parameters: schema})
	for _, m := range [][]byte{read, mirror, write(2, "edit-1"), write(3, "edit-2"), write(4, "write-1")} {
		r.receiveBytes(t, m)
	}
	if n := r.queue.len(); n != 1 || r.execs.open[0].id != 4 {
		t.Errorf("%d calls; open: %+v", n, r.execs.open)
	}
	if refused := strings.Count(fmt.Sprint(sent(t, r)), "rejected:"); refused != 3 {
		t.Errorf("%d refusals, want 3 (the read and two writes)", refused)
	}
}

// An edit begins with a read, which is one like any other, also when upstream has said that an edit has begun.
func TestTheReadOfAnEditIsMapped(t *testing.T) {
	r := bareRun(t, strings.NewReader(""), agent.Tool{Name: "read", Parameters: []byte(`{"properties":{"path":{"type":"string"}}}`)})
	r.receiveBytes(t, updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolCallStarted{ToolCallStarted: &pb.ToolCallEvent{
		CallId: "edit-1", ToolCall: &pb.ToolCall{Tool: &pb.ToolCall_EditToolCall{EditToolCall: &pb.Opaque{}}},
	}}}))
	r.receive(t, &pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerMessage{ExecServerMessage: &pb.ExecServerMessage{
		Id: 1, Message: &pb.ExecServerMessage_ReadArgs{ReadArgs: &pb.ReadArgs{Path: "/a", ToolCallId: "edit-1"}},
	}}})
	if n := r.queue.len(); n != 1 {
		t.Errorf("%d calls for the client, want 1; answered: %v", n, sent(t, r))
	}
}

// sent decodes what a bare run has put into its outbox.
func sent(t *testing.T, r *run) []*pb.AgentClientMessage {
	r.stream.out.finish()
	var all []*pb.AgentClientMessage
	in := connectwire.NewReader(r.stream.out, 0)
	for {
		data, err := in.Next()
		if err != nil {
			return all
		}
		m := &pb.AgentClientMessage{}
		if err := proto.Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

func TestToolsetsAreSharedByRequestsWithTheSameTools(t *testing.T) {
	sets := newToolsets()
	one, two := sets.of(backendtest.Request("a").Tools), sets.of(backendtest.Request("b").Tools)
	if one != two {
		t.Error("the same tools were encoded twice")
	}
	for i := range 2 * maxToolsets {
		sets.of([]agent.Tool{{Name: fmt.Sprint("tool", i)}})
	}
	if n := sets.kept.Len(); n != maxToolsets {
		t.Errorf("%d toolsets are kept, want %d", n, maxToolsets)
	}
}

func TestLargeToolsetsAreKeptUpToABoundInBytes(t *testing.T) {
	sets := newToolsets()
	about := strings.Repeat("x", 4<<20)
	for i := range 12 {
		sets.of([]agent.Tool{{Name: fmt.Sprint("tool", i), Description: about}})
	}
	if n := sets.kept.Bytes(); n == 0 || n > maxToolsetBytes {
		t.Errorf("%d bytes are kept, want up to %d", n, maxToolsetBytes)
	}
}

func TestTLSWithAnotherAuthorityThroughAProxy(t *testing.T) {
	s, err := script.Parse("tls", []byte("turn always\ntext hello"))
	if err != nil {
		t.Fatal(err)
	}
	sim := cursorsim.New(cursorsim.Config{Script: s})
	server := httptest.NewUnstartedServer(sim)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the test has a client that doesn't trust it
	server.StartTLS()
	defer server.Close()
	var tunnels atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		tunnels.Add(1)
		tunnel(w, req)
	}))
	defer proxy.Close()
	proxyURL, _ := url.Parse(proxy.URL)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	cfg := Config{
		Endpoint: server.URL + "/agent.v1.AgentService/Run",
		Auth:     auth.New(auth.Config{BackendBase: server.URL, HTTP: server.Client()}),
	}

	cfg.Transport = TransportConfig{RootCAs: roots, Proxy: http.ProxyURL(proxyURL)}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	run, err := b.Start(t.Context(), backendtest.Request("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if turn := collect(t, run); turn.Text != "hello" || tunnels.Load() != 1 {
		t.Errorf("%q through %d tunnels", turn.Text, tunnels.Load())
	}

	cfg.Transport = TransportConfig{}
	b, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.jitter = func() float64 { return 0 }
	if _, err := b.Start(t.Context(), backendtest.Request("hello")); agent.CodeOf(err) != agent.Upstream {
		t.Errorf("a server that nobody trusts: %v", err)
	}
}

// tunnel is a proxy's answer to CONNECT.
func tunnel(w http.ResponseWriter, req *http.Request) {
	up, err := net.Dial("tcp", req.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer up.Close()
	down, ahead, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		io.Copy(up, ahead)
		up.Close()
	}()
	io.Copy(down, up)
}

func TestConfigurationThatCannotWork(t *testing.T) {
	for name, cfg := range map[string]Config{
		"a path":         {Endpoint: "/run"},
		"another scheme": {Endpoint: "ftp://cursor/run"},
		"no URL":         {Endpoint: "http://%zz"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
