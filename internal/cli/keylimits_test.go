package cli_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/store/sqlstore"
)

// TestLimitsOfAKeyHoldOnEverySurface: each answer says what is left, in OpenAI's form and in Anthropic's, and the request
// that is one too many is refused in the surface's own shape.
func TestLimitsOfAKeyHoldOnEverySurface(t *testing.T) {
	s, dir := simulated(t)
	_, body := s.postTo(t, "/api/signup", "", `{"cursorApiKey":"`+hostedCursorKey+`"}`)
	var up struct{ APIKey string }
	if err := json.Unmarshal([]byte(body), &up); err != nil {
		t.Fatal(err)
	}
	// The server that runs goes by what changes in the database.
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: filepath.Join(dir, "composer.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	keys, err := db.ListKeys(t.Context(), "")
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	keys[0].Limits.RequestsPerMinute = 4
	if err := db.ChangeKey(t.Context(), keys[0]); err != nil {
		t.Fatal(err)
	}
	requests := []struct{ path, body, refused string }{
		{"/v1/chat/completions", question, `"code":"rate_limit_exceeded"`},
		{"/v1/responses", `{"model":"composer-2.5","stream":true,"input":"a question"}`, `"code":"rate_limit_exceeded"`},
		{"/v1/messages", question, `"type":"rate_limit_error"`},
		{"/v1/completions", `{"model":"composer-2.5","prompt":"a question"}`, `"code":"rate_limit_exceeded"`},
	}
	for i, r := range requests {
		resp, body := s.ask(t, r.path, r.body, "X-Api-Key", up.APIKey)
		left := string(rune('3' - i))
		if resp.StatusCode != 200 || resp.Header.Get("X-Ratelimit-Remaining-Requests") != left || resp.Header.Get("Anthropic-Ratelimit-Requests-Remaining") != left {
			t.Errorf("%s: status %d, headers %v: %s", r.path, resp.StatusCode, resp.Header, body)
		}
	}
	for _, r := range requests {
		resp, body := s.ask(t, r.path, r.body, "X-Api-Key", up.APIKey)
		h := resp.Header
		if resp.StatusCode != 429 || !strings.Contains(body, r.refused) || !strings.Contains(body, "Your key has used 4 requests within a minute, and may use 4.") {
			t.Errorf("%s: status %d: %s", r.path, resp.StatusCode, body)
		}
		if h.Get("Retry-After") == "" || h.Get("X-Ratelimit-Limit-Requests") != "4" || h.Get("X-Ratelimit-Remaining-Requests") != "0" || h.Get("X-Should-Retry") != "" {
			t.Errorf("%s: headers %v", r.path, h)
		}
	}
}

// A date is mistyped easily, and the key would be good for nothing.
func TestAKeyDoesNotEndBeforeItBegins(t *testing.T) {
	environ := []string{"HOME=" + t.TempDir()}
	for _, args := range [][]string{{"keys", "create", "acct_1", "--expires=2020-01-31"}, {"keys", "limit", "key_1", "--expires=2020-01-31"}} {
		if _, said, code := run(t, environ, args...); code != 2 || !strings.Contains(said, "--expires: is in the past") || !strings.Contains(said, "hint: give a date to come") {
			t.Errorf("%v: %d\n%s", args, code, said)
		}
	}
}
