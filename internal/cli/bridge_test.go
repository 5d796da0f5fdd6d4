package cli_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"composer-api/internal/cli"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"
)

var bridgeListens = regexp.MustCompile(`^composer-api bridge listens on (http://\S+)`)

// bridge starts `composer-api bridge` in this process and returns its address.
func bridge(t *testing.T, environ ...string) string {
	t.Helper()
	stderr, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	exit := make(chan int, 1)
	go func() {
		exit <- cli.Main(ctx, []string{"bridge", "--port=0"}, environ, strings.NewReader(""), io.Discard, w)
		w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-exit; code != 0 {
			t.Errorf("bridge: exit code %d", code)
		}
	})
	r := bufio.NewReader(stderr)
	line, err := r.ReadString('\n')
	m := bridgeListens.FindStringSubmatch(line)
	if err != nil || m == nil {
		t.Fatalf("it said %q, %v", line, err)
	}
	go io.Copy(io.Discard, r)
	return m[1]
}

// oldServer serves a simulator of the time when bridges were used.
func oldServer(t *testing.T, source string) string {
	t.Helper()
	play, err := script.Parse("test", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- cursorsim.New(cursorsim.Config{Script: play, ContextOnly: true}).Serve(ctx, cursorsim.Listeners{Plain: listener})
	}()
	t.Cleanup(func() { cancel(); <-served })
	return "http://" + listener.Addr().String()
}

// The gateway on /opencodev2 goes through the bridge when one is set, tools included.
func TestTheGatewayGoesThroughABridge(t *testing.T) {
	base := oldServer(t, "turn when tools and not prompt \"forty-two\"\ntext Let me look.\ncall look {\"path\":\"a\"}\n"+
		"turn when prompt \"forty-two\"\ntext It says 42.\n")
	environ := []string{
		"CURSOR_API_BASE=" + base, "CURSOR_BACKEND_BASE_URL=" + base, "CURSOR_LOCAL_AGENT_ENDPOINT=/agent.v1.AgentService/Run",
		"CURSOR_SDK_BRIDGE_TOKEN=a-token-that-both-know",
	}
	environ = append(environ, "CURSOR_SDK_BRIDGE_URL="+bridge(t, environ...))
	s := serve(t, environ)
	ask := func(messages string) (upstream, body string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/opencodev2/v1/chat/completions", strings.NewReader(
			`{"model":"composer-2.5","tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}],"messages":[`+messages+`]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer crsr_test")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Header.Get("X-Composer-Upstream"), bodyOf(t, resp)
	}
	const question = `{"role":"user","content":"What does it say?"}`
	upstream, body := ask(question)
	id := regexp.MustCompile(`call_\w+`).FindString(body)
	if upstream != "bridge" || id == "" || !strings.Contains(body, `"Let me look."`) {
		t.Fatalf("upstream %q: %s", upstream, body)
	}
	_, body = ask(question + `,{"role":"assistant","content":"Let me look.","tool_calls":[{"id":"` + id +
		`","type":"function","function":{"name":"look","arguments":"{\"path\":\"a\"}"}}]},{"role":"tool","tool_call_id":"` + id + `","content":"forty-two"}`)
	if !strings.Contains(body, `"It says 42."`) {
		t.Errorf("after the result: %s", body)
	}
}
