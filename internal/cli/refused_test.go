package cli_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// refusals are what upstream may refuse a conversation with that it has served before.
var refusals = []string{"resource_exhausted", "unauthenticated", "permission_denied", "invalid_argument", "unavailable"}

// refusing is a prompt that upstream refuses where it continues a conversation, and serves in a new one.
func refusing(code string) string {
	return "Go on.\nsim: turn when continued\nsim: error " + code + " Refused.\nsim: turn\nsim: checkpoint\nsim: text fresh"
}

const (
	serving = "Begin.\nsim: checkpoint\nsim: text first"
	onward  = "Further.\nsim: turn when continued\nsim: text continued\nsim: turn\nsim: text not continued"
)

// conversations are the upstream conversations of the runs that said something, in their order.
func conversations(t *testing.T, environ []string) []string {
	t.Helper()
	var ids []string
	for _, r := range runsOf(t, environ) {
		ids = append(ids, r.ConversationID)
	}
	return slices.Compact(ids)
}

// A chain of responses goes on although upstream refuses the conversation that it has remembered: in a new one, which the
// next response then continues.
func TestAChainOfResponsesOutlivesARefusedConversation(t *testing.T) {
	for _, code := range refusals {
		t.Run(code, func(t *testing.T) {
			environ := exports(t, "COMPOSER_DB="+filepath.Join(t.TempDir(), "composer.db"))
			s := serve(t, environ)
			previous := ""
			for _, step := range []struct{ prompt, resume, says string }{
				{serving, "new", "first"},
				{refusing(code), "transcript", "fresh"},
				{onward, "memory", "continued"},
			} {
				body := map[string]any{"model": "composer-2.5", "input": step.prompt}
				if previous != "" {
					body["previous_response_id"] = previous
				}
				resume, answer := s.askFor(t, "/v1/responses", "crsr_chain", body)
				var doc struct{ ID string }
				if err := json.Unmarshal([]byte(answer), &doc); err != nil {
					t.Fatal(err)
				}
				previous = doc.ID
				if resume != step.resume || !strings.Contains(answer, `"text":"`+step.says+`"`) {
					t.Errorf("resume %q, want %q with %q: %s", resume, step.resume, step.says, answer)
				}
			}
			if ids := conversations(t, environ); len(ids) != 2 {
				t.Errorf("upstream saw the conversations %q", ids)
			}
		})
	}
}

// So does a session that is pinned to its conversation: it is pinned to the new one, also on another server.
func TestAPinnedSessionOutlivesARefusedConversation(t *testing.T) {
	for _, code := range refusals {
		t.Run(code, func(t *testing.T) {
			environ := exports(t, "COMPOSER_DB="+filepath.Join(t.TempDir(), "composer.db"))
			s, other := serve(t, environ), serve(t, environ)
			up := s.signUp(t, hostedCursorKey)
			var history []map[string]string
			for i, step := range []struct {
				on             *server
				prompt, resume string
				says           string
			}{
				{s, serving, "new", "first"},
				{s, refusing(code), "transcript", "fresh"},
				{s, onward, "memory", "continued"},
				{other, "At last.\nsim: text elsewhere", "transcript", "elsewhere"},
			} {
				history = append(history, map[string]string{"role": "user", "content": step.prompt})
				resume, answer := step.on.askFor(t, "/opencodev2/v1/chat/completions", up.APIKey,
					map[string]any{"model": "composer-2.5", "messages": history}, "X-Session-Affinity", "session-1")
				if resume != step.resume || !strings.Contains(answer, `"content":"`+step.says+`"`) {
					t.Errorf("step %d: resume %q, want %q with %q: %s", i, resume, step.resume, step.says, answer)
				}
				history = append(history, map[string]string{"role": "assistant", "content": step.says})
			}
			// What upstream has merely lost may begin again under the pinned id.
			if ids := conversations(t, environ); len(ids) != 2 && code != "invalid_argument" {
				t.Errorf("upstream saw the conversations %q", ids)
			}
		})
	}
}

// askFor posts body, which must be answered, and returns what the answer continued.
func (s *server) askFor(t *testing.T, path, key string, body map[string]any, header ...string) (resume, answer string) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(string(encoded)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if answer = bodyOf(t, resp); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, answer)
	}
	return resp.Header.Get("X-Composer-Resume"), answer
}
