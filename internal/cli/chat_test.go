package cli_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// With the chat endpoint alone, it serves both /v1 and /opencode/v1: streams, tools and sessions, whatever the habits of
// the model behind it.
func TestTheChatUpstreamAlone(t *testing.T) {
	for seed := 1; seed <= 4; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			exports := sim(t, fmt.Sprintf("--seed=%d", seed))
			s := serve(t, []string{
				"CURSOR_API_BASE=" + exports["CURSOR_API_BASE"], "CURSOR_BACKEND_BASE_URL=" + exports["CURSOR_BACKEND_BASE_URL"],
				"CURSOR_CHAT_ENDPOINT=" + exports["CURSOR_CHAT_ENDPOINT"],
			})
			for route, upstream := range map[string]string{"/v1": "chat", "/opencode/v1": "opencode"} {
				chatRound(t, s.url+route, upstream)
			}
			if status, body := get(t, exports["CURSOR_API_BASE"]+"/sim/violations"); status != 200 || !strings.Contains(body, `"violations":[]`) {
				t.Errorf("violations: %s", body)
			}
		})
	}
}

// chatRound has a conversation with two parallel calls, streamed.
func chatRound(t *testing.T, base, upstream string) {
	t.Helper()
	ask := func(messages string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/chat/completions", strings.NewReader(
			`{"model":"composer-2.5","stream":true,"tools":[{"type":"function","function":{"name":"read","parameters":{"type":"object","properties":{"path":{"type":"string"}}}}}],"messages":[`+messages+`]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer crsr_test")
		req.Header.Set("X-Session-Affinity", "session "+base)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := bodyOf(t, resp)
		if got := resp.Header.Get("X-Composer-Upstream"); resp.StatusCode != 200 || got != upstream || !strings.HasSuffix(body, "data: [DONE]\n\n") {
			t.Fatalf("status %d, upstream %q: %s", resp.StatusCode, got, body)
		}
		return body
	}
	const question = `{"role":"user","content":"call read {\"path\": \"a\"}\ncall read {\"path\": \"b\"}"}`
	ids := regexp.MustCompile(`call_\w+`).FindAllString(ask(question), -1)
	if len(ids) != 2 {
		t.Fatalf("%d calls", len(ids))
	}
	call := `{"id":"%s","type":"function","function":{"name":"read","arguments":"{\"path\": \"%s\"}"}}`
	body := ask(question + `,{"role":"assistant","tool_calls":[` + fmt.Sprintf(call, ids[0], "a") + "," + fmt.Sprintf(call, ids[1], "b") + `]},` +
		fmt.Sprintf(`{"role":"tool","tool_call_id":"%s","content":"Bee"},{"role":"tool","tool_call_id":"%s","content":"Ay"}`, ids[1], ids[0]))
	var said strings.Builder
	for _, m := range regexp.MustCompile(`"content":"([^"]*)"`).FindAllStringSubmatch(body, -1) {
		said.WriteString(m[1])
	}
	if want := `The tools said: Ay\nBee`; said.String() != want {
		t.Errorf("it said %q, want %q", said.String(), want)
	}
}
