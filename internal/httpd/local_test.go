package httpd_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/httpd"
)

// TestTheServersKeyIsLentToItsToken shows who may use the server's own Cursor key, and that no token reaches upstream.
func TestTheServersKeyIsLentToItsToken(t *testing.T) {
	var used string
	turn := func(_ context.Context, req *agent.Request, sink agent.Sink) error {
		used = req.Caller.CursorKey.Reveal()
		return say(sink, "ok")
	}
	local := httpd.LocalKey{Key: agent.NewSecret("crsr_servers"), Token: agent.NewSecret("composer-good")}
	open := local
	open.Any = true
	const evil, ours = "https://evil.example", "http://localhost:3000"
	for name, tt := range map[string]struct {
		local         *httpd.LocalKey
		token, origin string
		status        int
		used          string
	}{
		"the token":                     {&local, "composer-good", "", 200, "crsr_servers"},
		"a page with the token":         {&local, "composer-good", evil, 200, "crsr_servers"},
		"another token":                 {&local, "composer-bad", "", 401, ""},
		"nothing":                       {&local, "", "", 401, ""},
		"a key of the client's own":     {&local, "crsr_clients", "", 200, "crsr_clients"},
		"a token where there is no key": {nil, "composer-good", "", 401, ""},

		"any: nothing":                   {&open, "", "", 200, "crsr_servers"},
		"any: something":                 {&open, "sk-dummy", "", 200, "crsr_servers"},
		"any: a key of the client's own": {&open, "crsr_clients", "", 200, "crsr_clients"},
		"any: a hosted key":              {&open, "cmp_unknown", "", 401, ""},
		"any: a page of this machine":    {&open, "sk-dummy", ours, 200, "crsr_servers"},
		"any: another page":              {&open, "", evil, 403, ""},
		"any: another page with a key":   {&open, "sk-dummy", evil, 403, ""},
		"any: another page, the token":   {&open, "composer-good", evil, 200, "crsr_servers"},
	} {
		used = ""
		s := newServer(httpd.Config{Local: tt.local, Surfaces: surfaces(turn), LocalOnly: true})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"composer-2.5","messages":[{"role":"user","content":"Hello"}]}`))
		r.Host = "127.0.0.1:8787"
		r.Header.Set("Content-Type", "application/json")
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.status || used != tt.used {
			t.Errorf("%s: status %d, want %d; the turn used %q, want %q: %s", name, w.Code, tt.status, used, tt.used, w.Body)
		}
		if w.Code == 401 && strings.HasPrefix(tt.token, "composer-") && !strings.Contains(w.Body.String(), "composer-api") {
			t.Errorf("%s: the error names no cure: %s", name, w.Body)
		}
	}
}

// TestTheTokenIsNoHostedKey: below an account's address hosted keys alone count.
func TestTheTokenIsNoHostedKey(t *testing.T) {
	s := newServer(httpd.Config{Local: &httpd.LocalKey{Key: agent.NewSecret("crsr_servers"), Token: agent.NewSecret("composer-good"), Any: true}})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/u/somebody/v1/models", nil)
	r.Header.Set("Authorization", "Bearer composer-good")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != 401 {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}
