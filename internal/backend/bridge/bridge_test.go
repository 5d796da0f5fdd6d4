package bridge_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	backend "composer-api/internal/backend/bridge"
	"composer-api/internal/bridgeserver"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/memnet"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"

	"github.com/google/go-cmp/cmp"
)

const base = "http://upstream.test"

// A chain is a backend, the bridge that it speaks to, and the simulator behind it.
type chain struct {
	*backend.Backend
	sim *cursorsim.Sim
}

// newChain makes one. server is in the bridge's place; nil is our own bridge.
func newChain(t *testing.T, seed uint64, s *script.Script, server http.Handler, change func(*backend.Config)) *chain {
	t.Helper()
	sim := cursorsim.New(cursorsim.Config{Seed: seed, Script: s, ContextOnly: true})
	h2c, http1 := new(http.Protocols), new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	http1.SetHTTP1(true)
	upstream := serve(t, sim, h2c)
	if server == nil {
		server = bridgeserver.New(bridgeserver.Config{
			BackendBase: base, LocalAgentEndpoint: "/agent.v1.AgentService/Run", Token: agent.NewSecret("the-bridges-token"), Transport: upstream,
		})
	}
	config := backend.Config{
		URL: "http://bridge.test/", Token: agent.NewSecret("the-bridges-token"), BackendBase: base,
		Transport: serve(t, server, http1),
		Auth:      auth.New(auth.Config{BackendBase: base, HTTP: &http.Client{Transport: upstream}}),
	}
	if change != nil {
		change(&config)
	}
	return &chain{backend.New(config), sim}
}

func serve(t *testing.T, handler http.Handler, protocols *http.Protocols) *http.Transport {
	listener := memnet.Listen()
	server := &http.Server{Handler: handler, Protocols: protocols, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(listener) }()
	transport := listener.Transport(protocols)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	return transport
}

func parse(t *testing.T, source string) *script.Script {
	t.Helper()
	s, err := script.Parse(t.Name(), []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *chain) turn(t *testing.T, req *agent.Request) (backendtest.Turn, agent.Run, error) {
	t.Helper()
	run, err := c.Start(t.Context(), req)
	if err != nil {
		return backendtest.Turn{}, nil, err
	}
	t.Cleanup(func() { run.Close() })
	turn, err := backendtest.Collect(t.Context(), run)
	return turn, run, err
}

func TestExam(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			backendtest.Exam(t, backendtest.Features{NoConversation: true, NoScriptedResults: true}, func(t *testing.T, s *script.Script) agent.Backend {
				return newChain(t, seed, s, nil, nil)
			})
		})
	}
}

// Rounds of tools by replay: each request ends at its first call, and the next one tells the whole conversation.
func TestToolRounds(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			c := newChain(t, seed, parse(t, `
turn
text "Let me look. "
calls 2
call look {"path":"a","depth":2}
call listen {"path":"b"}
end
turn when prompt "seen a"
call listen {"path":"b"}
turn when prompt "heard b"
text Both done.
usage input=5 output=6
`), nil, nil)
			turn, run, err := c.turn(t, backendtest.Request("hello"))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []struct{ call, result string }{
				{`look{"depth":2,"path":"a"}`, "seen a"}, // the second call is lost: the contract knows one
				{`listen{"path":"b"}`, "heard b"},
			} {
				if len(turn.Calls) != 1 || turn.Calls[0].Name+string(turn.Calls[0].Arguments) != want.call || turn.Done.Reason != agent.ToolCalls {
					t.Fatalf("round %d: %+v", i+1, turn)
				}
				if turn.Usage == nil || !turn.Usage.Estimated {
					t.Errorf("round %d: usage %+v, which nobody has said", i+1, turn.Usage)
				}
				result := agent.ToolResult{CallID: turn.Calls[0].ID, Parts: []agent.Part{{Text: want.result}}}
				if err := run.Resume(t.Context(), []agent.ToolResult{result}); err != nil {
					t.Fatal(err)
				}
				if turn, err = backendtest.Collect(t.Context(), run); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(&agent.Usage{Input: 5, Output: 6}, turn.Usage); diff != "" || turn.Text != "Both done." {
				t.Errorf("%q, usage %s", turn.Text, diff)
			}
			runs := c.sim.Runs()
			if len(runs) != 3 || runs[0].ConversationID != runs[2].ConversationID || runs[0].RunID == runs[2].RunID {
				t.Errorf("%d runs, conversations %s and %s", len(runs), runs[0].ConversationID, runs[2].ConversationID)
			}
			for _, v := range c.sim.Violations() {
				t.Errorf("violation: %+v", v)
			}
		})
	}
}

// Upstream's run ends when the first call is there, not when the client's result is.
func TestTheRequestEndsAtTheFirstCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, 0, parse(t, "turn\ncall look {\"path\":\"a\"}\n"), nil, nil)
		if _, _, err := c.turn(t, backendtest.Request("hello")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if end := c.sim.Runs()[0].End; end != cursorsim.EndedLeft {
			t.Errorf("upstream's run ended %q", end)
		}
	})
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name, script string
		runs         int
		want         agent.Code
		text         string
	}{
		{"cut once before output", "turn when attempt 1\ncut\nturn\ntext ok\n", 2, 0, "ok"},
		{"dropped once before output", "turn when attempt 1\ndrop\nturn\ntext ok\n", 2, 0, "ok"},
		{"cut after output", "turn\ntext \"It begins.\"\ncut\n", 1, agent.Upstream, "It begins."},
		{"dropped after output", "turn\ntext \"It begins.\"\ndrop\n", 1, agent.Upstream, "It begins."},
		{"an error after the end of the turn", "turn\ntext ok\nturn-ended\nerror internal Oops\n", 1, 0, "ok"},
		{"nothing after the end of the turn", "turn\ntext ok\nturn-ended\nhold\n", 1, 0, "ok"},
		{"only heartbeats", "turn always\nhold\n", 2, agent.UpstreamTimeout, ""},
		{"a refusal", "turn\nstatus 429 retry-after=9s Slow.\n", 1, agent.RateLimited, ""},
		{"a built-in tool", "turn\nbuiltin shell {\"command\":\"ls\"}\n", 1, agent.Upstream, ""},
		{"a tool that was not offered", "turn\ncall nobody {}\nturn\ntext sorry\n", 2, 0, "sorry"},
		{"and again and again", "turn always\ncall nobody {}\n", 3, agent.Upstream, ""},
		{"another server's tool", "turn\ntext \"It begins.\"\nbuiltin shell {}\n", 1, agent.Upstream, "It begins."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newChain(t, 0, parse(t, c.script), nil, nil)
				turn, _, err := w.turn(t, backendtest.Request("hello"))
				if agent.CodeOf(err) != c.want || turn.Text != c.text {
					t.Errorf("%v after %q", err, turn.Text)
				}
				if n := len(w.sim.Runs()); n != c.runs {
					t.Errorf("%d runs, want %d", n, c.runs)
				}
			})
		})
	}
}

// What the bridge's own errors are to the client.
func TestTheBridgesErrors(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   agent.Code
		says   string
	}{
		{504, `{"error":{"message":"slow","type":"server_error","code":"cursor_sdk_bridge_timeout"}}`, agent.UpstreamTimeout, "slow"},
		{502, `{"error":{"message":"cut","type":"server_error","code":"cursor_sdk_bridge_stream_closed"}}`, agent.Upstream, "cut"},
		{500, `{"error":{"message":"no base","code":"whatever"}}`, agent.Upstream, "no base"},
		{401, `{"error":{"message":"Unauthorized"}}`, agent.NotConfigured, "Check CURSOR_SDK_BRIDGE_TOKEN."},
		{403, `{"error":{"message":"not there","code":"upstream_not_allowed"}}`, agent.NotConfigured, "not there"},
		{413, `{"error":{"message":"large","code":"request_too_large"}}`, agent.ContextTooLong, "CURSOR_SDK_BRIDGE_MAX_JSON_BYTES"},
		{401, `{"code":"unauthenticated","message":"upstream says no"}`, agent.InvalidKey, ""},
		{503, `<html>`, agent.Overloaded, ""},
	} {
		t.Run(fmt.Sprint(c.status, c.want), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					w.WriteHeader(c.status)
					io.WriteString(w, c.body)
				})
				w := newChain(t, 0, nil, server, nil)
				_, _, err := w.turn(t, backendtest.Request("hello"))
				if agent.CodeOf(err) != c.want || !strings.Contains(agent.AsError(err).UserMessage(), c.says) {
					t.Errorf("got %v", err)
				}
				if strings.Contains(fmt.Sprint(err), "the-bridges-token") {
					t.Errorf("the token is in %v", err)
				}
			})
		})
	}
}

func TestAWrongTokenForTheBridge(t *testing.T) {
	c := newChain(t, 0, nil, nil, func(config *backend.Config) { config.Token = agent.NewSecret("wrong") })
	if _, _, err := c.turn(t, backendtest.Request("hello")); agent.CodeOf(err) != agent.NotConfigured {
		t.Errorf("got %v", err)
	}
}

func TestATokenThatEndedIsExchangedOnce(t *testing.T) {
	c := newChain(t, 0, parse(t, "turn always\ntext ok\n"), nil, nil)
	if _, _, err := c.turn(t, backendtest.Request("hello")); err != nil {
		t.Fatal(err)
	}
	c.sim.RevokeTokens()
	if turn, _, err := c.turn(t, backendtest.Request("hello")); err != nil || turn.Text != "ok" {
		t.Fatalf("%q, %v", turn.Text, err)
	}
	if n := c.sim.Exchanges(); n != 2 {
		t.Errorf("%d exchanges", n)
	}
}

func TestASilentBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan struct{})
		server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			close(left)
		})
		c := newChain(t, 0, nil, server, nil)
		begin := time.Now()
		_, _, err := c.turn(t, backendtest.Request("hello"))
		if agent.CodeOf(err) != agent.UpstreamTimeout || time.Since(begin) != 25*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		<-left
	})
}

func TestTheBridgeIsToldOfTheTrace(t *testing.T) {
	for _, trace := range []agent.Trace{{}, {Parent: "00-1-2-01"}, {Parent: "00-1-2-01", State: "vendor=1"}} {
		var got agent.Trace
		server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = agent.Trace{Parent: r.Header.Get("traceparent"), State: r.Header.Get("tracestate")}
			w.WriteHeader(http.StatusUnauthorized)
		})
		req := backendtest.Request("hello")
		req.Origin.Trace = trace
		if _, _, err := newChain(t, 1, nil, server, nil).turn(t, req); err == nil || got != trace {
			t.Errorf("the bridge is told of %+v, not of %+v (%v)", got, trace, err)
		}
	}
}
