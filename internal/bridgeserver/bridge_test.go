package bridgeserver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/bridgeserver"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
	"composer-api/internal/memnet"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
)

const (
	upstreamBase = "http://upstream.test"
	bridgeToken  = "bridge-token-0123456789"
)

// A world is a simulator, a bridge in front of it, and a caller of the bridge: all on networks in memory.
type world struct {
	t      *testing.T
	sim    *cursorsim.Sim
	log    *bytes.Buffer
	client *http.Client
	token  string // an access token
}

// newWorld makes one. handler is the upstream; nil is the simulator.
func newWorld(t *testing.T, seed uint64, source string, handler http.Handler, change func(*bridgeserver.Config)) *world {
	t.Helper()
	s, err := script.Parse(t.Name(), []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, sim: cursorsim.New(cursorsim.Config{Seed: seed, Script: s, ContextOnly: true}), log: &bytes.Buffer{}}
	if handler == nil {
		handler = w.sim
	}
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	upstream := w.serve(handler, h2c)
	config := bridgeserver.Config{
		BackendBase: upstreamBase, LocalAgentEndpoint: "/agent.v1.AgentService/Run", Token: agent.NewSecret(bridgeToken),
		Transport: upstream, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	w.client = &http.Client{Transport: w.serve(bridgeserver.New(config), http1)}

	simAlone := w.serve(w.sim, h2c)
	auth := auth.New(auth.Config{BackendBase: upstreamBase, HTTP: &http.Client{Transport: simAlone}})
	token, err := auth.Token(t.Context(), agent.NewSecret("crsr_bridge"))
	if err != nil {
		t.Fatal(err)
	}
	w.token = token.Reveal()
	return w
}

// serve serves a handler and returns a transport that reaches it.
func (w *world) serve(handler http.Handler, protocols *http.Protocols) *http.Transport {
	listener := memnet.Listen()
	server := &http.Server{Handler: handler, Protocols: protocols, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(listener) }()
	transport := listener.Transport(protocols)
	w.t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	return transport
}

// body is a request as bridge.md says.
func (w *world) body(change func(map[string]any)) map[string]any {
	frame, runID := agentwire.EncodeRun(backendtest.Request("hello"))
	b := map[string]any{
		"accessToken": w.token, "requestId": runID, "backendBaseUrl": upstreamBase,
		"localAgentEndpoint": "/agent.v1.AgentService/Run", "clientVersion": "sdk-of-a-caller",
		"runFrame": base64.StdEncoding.EncodeToString(frame),
	}
	if change != nil {
		change(b)
	}
	return b
}

// post sends a body to /sdk; a string or bytes are sent as they are.
func (w *world) post(ctx context.Context, body any) *http.Response {
	w.t.Helper()
	data, ok := body.(string)
	if !ok {
		encoded, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		data = string(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://bridge.test/sdk", strings.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+bridgeToken)
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

// wantError checks the JSON of an error.
func wantError(t *testing.T, resp *http.Response, status int, code string) {
	t.Helper()
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	var got struct{ Error map[string]string }
	if err := json.Unmarshal(data, &got); err != nil || len(got.Error) != 3 || got.Error["message"] == "" || got.Error["type"] == "" {
		t.Errorf("the error is %s", data)
	}
	if resp.StatusCode != status || got.Error["code"] != code || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s, want %d %s", resp.StatusCode, data, status, code)
	}
}

// frames reads a stream frame by frame: its messages in a readable form, and the payload of its end.
func frames(t *testing.T, r io.Reader) (messages []string, end string) {
	t.Helper()
	in := connectwire.NewReader(r, 0)
	for {
		flags, payload, err := in.Envelope()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return messages, end
		}
		if err != nil {
			t.Fatal(err)
		}
		if flags&connectwire.EndOfStream != 0 {
			end = string(payload)
			continue
		}
		messages = append(messages, describe(t, payload))
	}
}

func describe(t *testing.T, payload []byte) string {
	t.Helper()
	m := &pb.AgentServerMessage{}
	if err := proto.Unmarshal(payload, m); err != nil {
		t.Fatal(err)
	}
	update := m.GetInteractionUpdate()
	switch {
	case update.GetTextDelta() != nil:
		return "text " + update.GetTextDelta().GetText()
	case update.GetThinkingDelta() != nil:
		return "think " + update.GetThinkingDelta().GetText()
	case update.GetTurnEnded() != nil:
		return "turn ended"
	case update.GetHeartbeat() != nil:
		return "heartbeat"
	case m.GetExecServerMessage().GetRequestContextArgs() != nil:
		return "request context"
	case m.GetExecServerMessage().GetMcpArgs() != nil:
		return "call " + m.GetExecServerMessage().GetMcpArgs().GetToolName()
	}
	return fmt.Sprintf("%T", m.GetMessage())
}

func TestHealth(t *testing.T) {
	w := newWorld(t, 0, "", nil, nil)
	resp, err := w.client.Get("http://bridge.test/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || strings.TrimSpace(string(data)) != `{"ok": true}` {
		t.Errorf("%d %s", resp.StatusCode, data)
	}
}

// A whole run: every frame of upstream's arrives, in order and on its own, but for the question that the bridge answers.
func TestFramesPassThrough(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := newWorld(t, seed, "turn\nthink Hm.\nsay Hello there, world\nusage input=3 output=4\n", nil, nil)
			resp := w.post(t.Context(), w.body(nil))
			defer resp.Body.Close()
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/connect+proto" {
				t.Fatalf("%s %v", resp.Status, resp.Header)
			}
			all, end := frames(t, resp.Body)
			var told []string
			for _, m := range all {
				if strings.HasPrefix(m, "text") || strings.HasPrefix(m, "think") || m == "turn ended" || m == "request context" {
					told = append(told, m)
				}
			}
			want := []string{"think Hm.", "text Hello ", "text there, ", "text world", "turn ended"}
			if diff := cmp.Diff(want, told); diff != "" || end != "{}" {
				t.Errorf("end %q (-want +got)\n%s", end, diff)
			}
			for _, v := range w.sim.Violations() {
				t.Errorf("violation: %+v", v)
			}
			if run := w.sim.Runs()[0]; run.End != cursorsim.EndedWell || len(run.Execs) != 1 || run.Execs[0].Answer == nil || !run.Execs[0].Closed {
				t.Errorf("upstream's run: %s, %+v", run.End, run.Execs)
			}
		})
	}
}

// A frame is passed on when it comes, not when the next does or the stream ends.
func TestFramesAreNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0, "turn\ntext one\ndelay 10s\ntext two\n", nil, nil)
		begin := time.Now()
		resp := w.post(t.Context(), w.body(nil))
		defer resp.Body.Close()
		if took := time.Since(begin); took != 0 {
			t.Errorf("the header came after %v", took)
		}
		in := connectwire.NewReader(resp.Body, 0)
		for _, want := range []struct {
			text  string
			after time.Duration
		}{{"text one", 0}, {"text two", 10 * time.Second}} {
			for {
				payload, err := in.Next()
				if err != nil {
					t.Fatal(err)
				}
				if describe(t, payload) == want.text {
					break
				}
			}
			if took := time.Since(begin); took != want.after {
				t.Errorf("%q came after %v, want %v", want.text, took, want.after)
			}
		}
	})
}

// The caller ends its request at the first call; upstream is reset at once.
func TestTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0, "turn\ntext Look:\ncall look {\"path\":\"a\"}\n", nil, nil)
		resp := w.post(t.Context(), w.body(nil))
		in := connectwire.NewReader(resp.Body, 0)
		for {
			payload, err := in.Next()
			if err != nil {
				t.Fatal(err)
			}
			if describe(t, payload) == "call look" {
				break
			}
		}
		time.Sleep(22 * time.Second) // and while nothing comes, the heartbeats that upstream wants go out
		begin := time.Now()
		resp.Body.Close()
		synctest.Wait()
		run := w.sim.Runs()[0]
		if run.End != cursorsim.EndedLeft || run.Ended.Sub(begin) != 0 {
			t.Errorf("upstream's run ended %q after %v", run.End, run.Ended.Sub(begin))
		}
		if run.Heartbeats != 4 {
			t.Errorf("%d heartbeats in 22 s", run.Heartbeats)
		}
	})
}

func TestHeadersToUpstream(t *testing.T) {
	w := newWorld(t, 0, "", nil, nil)
	w.post(t.Context(), w.body(func(b map[string]any) { b["requestId"], b["clientVersion"] = "req-1", "sdk-9" })).Body.Close()
	run := w.sim.Runs()[0]
	for name, want := range map[string]string{
		"x-request-id": "req-1", "x-cursor-client-version": "sdk-9", "x-cursor-client-type": "sdk", "x-ghost-mode": "true",
		"x-original-request-id": run.RunID, "content-type": "application/connect+proto",
		"x-cursor-agent-allowed-tools": "mcp_tool_call,get_mcp_tools_tool_call,list_mcp_resources_tool_call,read_mcp_resource_tool_call,mcp_auth_tool_call",
	} {
		if got := run.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// What the caller leaves out is the bridge's own configuration.
func TestDefaults(t *testing.T) {
	w := newWorld(t, 0, "turn\ntext ok\n", nil, nil)
	resp := w.post(t.Context(), w.body(func(b map[string]any) {
		delete(b, "backendBaseUrl")
		delete(b, "localAgentEndpoint")
		delete(b, "clientVersion")
		delete(b, "requestId")
	}))
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	frames(t, resp.Body)
	run := w.sim.Runs()[0]
	if v := run.Header["x-cursor-client-version"]; len(v) != 1 || v[0] != agentwire.DefaultClientVersion || run.RequestID == "" {
		t.Errorf("version %q, request id %q", v, run.RequestID)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	set := func(key string, value any) func(map[string]any) { return func(b map[string]any) { b[key] = value } }
	runFrame := func(data []byte) func(map[string]any) {
		return set("runFrame", base64.StdEncoding.EncodeToString(data))
	}
	w := newWorld(t, 0, "turn always\ntext ok\n", nil, func(c *bridgeserver.Config) {
		c.Allow = []string{"http://other.test", "https://third.test/whole/endpoint"}
		c.MaxJSON = 4 << 10
	})
	heartbeat, _ := proto.Marshal(&pb.AgentClientMessage{Message: &pb.AgentClientMessage_ClientHeartbeat{ClientHeartbeat: &pb.ClientHeartbeat{}}})
	for _, c := range []struct {
		name   string
		body   any
		status int
		code   string
	}{
		{"no JSON", "{", 400, "invalid_json"},
		{"another kind of JSON", `{"accessToken": 5}`, 400, "invalid_json"},
		{"nothing", "", 400, "invalid_json"},
		{"no access token", w.body(set("accessToken", "")), 400, "invalid_request"},
		{"an access token that is no header", w.body(set("accessToken", "a\r\nX-Evil: b")), 400, "invalid_request"},
		{"no run frame", w.body(set("runFrame", nil)), 400, "invalid_request"},
		{"a run frame that is not base64", w.body(set("runFrame", "?")), 400, "invalid_request"},
		{"a run frame that is no frame", w.body(runFrame([]byte("abc"))), 400, "invalid_request"},
		{"two frames", w.body(runFrame(connectwire.Append(connectwire.Append(nil, 0, nil), 0, nil))), 400, "invalid_request"},
		{"a frame without a run request", w.body(runFrame(connectwire.Append(nil, 0, heartbeat))), 400, "invalid_request"},
		{"too much", `{"accessToken": "` + strings.Repeat("x", 5<<10) + `"}`, 413, "request_too_large"},
		{"another base", w.body(set("backendBaseUrl", "http://evil.test")), 403, "upstream_not_allowed"},
		{"another endpoint", w.body(set("localAgentEndpoint", "/other")), 403, "upstream_not_allowed"},
		{"an endpoint that is another server", w.body(set("localAgentEndpoint", "http://evil.test/agent.v1.AgentService/Run")), 403, "upstream_not_allowed"},
		{"an allowed base, but another endpoint", w.body(func(b map[string]any) { b["backendBaseUrl"], b["localAgentEndpoint"] = "http://other.test", "/x" }), 403, "upstream_not_allowed"},
		{"a way out of the path", w.body(set("localAgentEndpoint", "/agent.v1.AgentService/x/../Run")), 500, "cursor_sdk_bridge_not_configured"},
		{"somebody else's name in the URL", w.body(set("backendBaseUrl", "http://upstream.test@evil.test")), 500, "cursor_sdk_bridge_not_configured"},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, w.post(t.Context(), c.body), c.status, c.code) })
	}
	if n := len(w.sim.Runs()); n != 0 {
		t.Errorf("%d of them went out", n)
	}
	if strings.Contains(w.log.String(), w.token) || strings.Contains(w.log.String(), bridgeToken) {
		t.Errorf("a token is in the log: %s", w.log)
	}
}

func TestAllowedUpstreams(t *testing.T) {
	w := newWorld(t, 0, "turn always\ntext ok\n", nil, func(c *bridgeserver.Config) {
		c.Allow = []string{"http://Other.test/", "http://third.test/agent.v1.AgentService/Run"}
	})
	for name, change := range map[string]func(map[string]any){
		"the configured one, spelled otherwise": func(b map[string]any) { b["backendBaseUrl"] = "HTTP://UPSTREAM.test/" },
		"a base on the list":                    func(b map[string]any) { b["backendBaseUrl"] = "http://other.test" },
		"an endpoint on the list": func(b map[string]any) {
			b["localAgentEndpoint"] = "http://third.test/agent.v1.AgentService/Run"
		},
	} {
		t.Run(name, func(t *testing.T) {
			resp := w.post(t.Context(), w.body(change))
			defer resp.Body.Close()
			if resp.StatusCode != 200 {
				data, _ := io.ReadAll(resp.Body)
				t.Errorf("%s %s", resp.Status, data)
			}
		})
	}
}

func TestNotConfigured(t *testing.T) {
	w := newWorld(t, 0, "", nil, func(c *bridgeserver.Config) { c.BackendBase = "" })
	wantError(t, w.post(t.Context(), w.body(func(b map[string]any) { delete(b, "backendBaseUrl") })), 500, "cursor_sdk_bridge_not_configured")
	wantError(t, w.post(t.Context(), w.body(nil)), 403, "upstream_not_allowed")
}

func TestTheToken(t *testing.T) {
	w := newWorld(t, 0, "turn always\ntext ok\n", nil, nil)
	for header, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer wrong": 401, "Basic " + bridgeToken: 401, bridgeToken: 401, "bearer " + bridgeToken: 400,
	} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://bridge.test/sdk", strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", header)
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		code := map[int]string{401: "unauthorized", 400: "invalid_request"}[want]
		wantError(t, resp, want, code)
	}
}

func TestOtherRequests(t *testing.T) {
	w := newWorld(t, 0, "", nil, nil)
	resp, err := w.client.Get("http://bridge.test/elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, resp, 404, "not_found")
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://bridge.test/sdk", strings.NewReader("{}"))
	req.Header.Set("Authorization", "Bearer "+bridgeToken)
	req.Header.Set("Content-Type", "text/plain") // what a web page may send without asking
	if resp, err = w.client.Do(req); err != nil {
		t.Fatal(err)
	}
	wantError(t, resp, 415, "unsupported_media_type")
}

// What a slow, a cut and a refusing upstream are to the caller, before and after the stream has begun.
func TestFailingUpstreams(t *testing.T) {
	silent := func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
	for _, c := range []struct {
		name    string
		script  string
		handler http.HandlerFunc // nil is the simulator
		status  int
		code    string // of the error, or in the end frame
		after   time.Duration
	}{
		{"slow: no answer", "", silent, 504, "cursor_sdk_bridge_timeout", 2 * time.Minute},
		{"slow: silent in mid-stream", "turn\ntext one\nstall\n", nil, 200, "cursor_sdk_bridge_timeout", 2 * time.Minute},
		{"cut: before the answer", "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, "cursor_sdk_bridge_stream_closed", 0},
		{"cut: in mid-stream", "turn\ntext one\ncut\n", nil, 200, "cursor_sdk_bridge_stream_closed", 0},
		{"cut: in a frame that makes no sense", "turn\ntext one\ngarbage length\n", nil, 200, "cursor_sdk_bridge_stream_closed", 0},
		{"heartbeats are no silence", "turn\nhold 10m\ntext one\n", nil, 200, "", 10 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var handler http.Handler
				if c.handler != nil {
					handler = c.handler
				}
				w := newWorld(t, 0, c.script, handler, nil)
				begin := time.Now()
				resp := w.post(t.Context(), w.body(nil))
				if c.status != 200 {
					wantError(t, resp, c.status, c.code)
				} else {
					defer resp.Body.Close()
					all, end := frames(t, resp.Body)
					if !strings.Contains(strings.Join(all, "|"), "text one") || c.code != "" && !strings.Contains(end, c.code) || c.code == "" && end != "{}" {
						t.Errorf("got %q and the end %s", all, end)
					}
				}
				if took := time.Since(begin); took != c.after {
					t.Errorf("it took %v, want %v", took, c.after)
				}
			})
		})
	}
}

func TestAnUpstreamThatIsNotThere(t *testing.T) {
	w := newWorld(t, 0, "", nil, func(c *bridgeserver.Config) {
		listener := memnet.Listen()
		listener.Close()
		h2c := new(http.Protocols)
		h2c.SetUnencryptedHTTP2(true)
		c.Transport = listener.Transport(h2c)
	})
	wantError(t, w.post(t.Context(), w.body(nil)), 502, "cursor_sdk_bridge_stream_closed")
}

// An upstream that refuses says so itself: with a status, or at the end of the stream.
func TestRefusingUpstreams(t *testing.T) {
	w := newWorld(t, 0, "turn\nstatus 429 Slow down.\nturn\nerror resource_exhausted Slow down.\n", nil, nil)
	resp := w.post(t.Context(), w.body(nil))
	data, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 429 || resp.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(data), "Slow down.") {
		t.Errorf("%s %s %s", resp.Status, resp.Header.Get("Content-Type"), data)
	}
	resp = w.post(t.Context(), w.body(nil))
	defer resp.Body.Close()
	if _, end := frames(t, resp.Body); resp.StatusCode != 200 || !strings.Contains(end, "resource_exhausted") {
		t.Errorf("%s, end %s", resp.Status, end)
	}
	resp = w.post(t.Context(), w.body(func(b map[string]any) { b["accessToken"] = "stale" }))
	defer resp.Body.Close()
	if _, end := frames(t, resp.Body); !strings.Contains(end, "unauthenticated") {
		t.Errorf("%s, end %s", resp.Status, end)
	}
}

func TestCheckAddress(t *testing.T) {
	for _, c := range []struct {
		address, token string
		ok             bool
	}{
		{"127.0.0.1:8792", "", true},
		{"127.9.9.9:1", "", true},
		{"[::1]:8792", "", true},
		{"[::ffff:127.0.0.1]:8792", "", true},
		{"localhost:8792", "", true},
		{"0.0.0.0:8792", "", false},
		{":8792", "", false},
		{"[::]:8792", "", false},
		{"192.168.1.2:8792", "", false},
		{"example.test:8792", "", false},
		{"localhost.example.test:8792", "", false},
		{"0.0.0.0:8792", "secret", true},
		{"nonsense", "", false},
	} {
		if err := bridgeserver.CheckAddress(c.address, c.token); (err == nil) != c.ok {
			t.Errorf("%q with token %q: %v", c.address, c.token, err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	frame, _ := agentwire.EncodeRun(backendtest.Request("hello"))
	good, _ := json.Marshal(map[string]string{"accessToken": "t", "runFrame": base64.StdEncoding.EncodeToString(frame), "backendBaseUrl": "http://elsewhere.test"})
	f.Add(good)
	f.Add([]byte(`{"accessToken": 5}`))
	h := bridgeserver.New(bridgeserver.Config{BackendBase: upstreamBase, LocalAgentEndpoint: "/x", Transport: noTransport{f}})
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", "/sdk", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 || w.Code > 502 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// noTransport checks where requests go, and lets none out.
type noTransport struct{ f *testing.F }

func (n noTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != upstreamBase+"/x" {
		n.f.Errorf("a request to %s", r.URL)
	}
	return nil, errors.New("nobody is there")
}
