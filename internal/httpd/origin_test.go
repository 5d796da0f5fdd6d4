package httpd_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/httpd"
)

func TestALocalServerIsAskedByItsNamesOnly(t *testing.T) {
	local := newServer(httpd.Config{LocalOnly: true, Hosts: []string{"gateway.example"}})
	public := newServer(httpd.Config{})
	anyName := newServer(httpd.Config{LocalOnly: true, Hosts: []string{"*"}})
	for host, status := range map[string]int{
		"127.0.0.1:8787": 200, "127.0.0.1": 200, "127.1.2.3": 200, "[::1]:8787": 200, "[::1]": 200, "localhost:1": 200, "LocalHost.": 200,
		"me.localhost": 200, "[::ffff:127.0.0.1]:80": 200, "gateway.example": 200, "Gateway.Example:443": 200, "": 200,
		"evil.example": 403, "evil.example:8787": 403, "127.0.0.1.evil.example": 403, "notlocalhost": 403, "192.168.1.2": 403, "x.gateway.example": 403, "*": 403,
	} {
		for name, tt := range map[string]struct {
			server *httpd.Server
			want   int
		}{"local": {local, status}, "public": {public, 200}, "any name": {anyName, 200}} {
			for _, line := range []string{"GET /v1/models", "GET /healthz"} {
				method, path, _ := strings.Cut(line, " ")
				r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
				r.Host = host
				r.Header = withKey(key)
				w := httptest.NewRecorder()
				tt.server.Handler().ServeHTTP(w, r)
				if w.Code != tt.want {
					t.Errorf("%s, %q, %s: status %d, want %d: %s", name, host, line, w.Code, tt.want, w.Body)
				}
				if w.Code == 403 {
					if e := errorOf(t, w.Body.Bytes()); !strings.Contains(e.Message, "COMPOSER_ALLOWED_HOSTS") || w.Header().Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("%q: %s, %v", host, e.Message, w.Header())
					}
				}
			}
		}
	}
}

func TestWithoutAKeyOtherPeoplesWebPagesAreRefused(t *testing.T) {
	open := []api.Route{{Pattern: "POST /api/signup", Open: true, Handle: func(w http.ResponseWriter, _ *http.Request, _ *api.Call) error {
		return api.WriteJSON(w, []byte(`{}`))
	}}}
	s := newServer(httpd.Config{Routes: open, Keyless: &agent.Caller{Owner: "demo"}, Hosts: []string{"pages.example"}})
	const evil = "https://evil.example"
	for _, tt := range []struct {
		name, line string
		header     http.Header
		status     int
	}{
		{"no browser", "POST /v1/chat/completions", http.Header{}, 200},
		{"another page", "POST /v1/chat/completions", http.Header{"Origin": {evil}}, 403},
		{"another page, with a key", "POST /v1/chat/completions", http.Header{"Origin": {evil}, "Authorization": {"Bearer any"}}, 200},
		{"a page without an origin", "POST /v1/chat/completions", http.Header{"Origin": {"null"}}, 403},
		{"a page of this machine", "POST /v1/chat/completions", http.Header{"Origin": {"http://localhost:3000"}}, 200},
		{"a page that is allowed", "POST /v1/chat/completions", http.Header{"Origin": {"https://pages.example"}}, 200},
		{"a page of the server", "POST /v1/chat/completions", http.Header{"Origin": {"http://example.com"}}, 200},
		{"a page of the server, behind a proxy", "POST /api/signup", http.Header{"Origin": {"https://gw.example"}, "Sec-Fetch-Site": {"same-origin"}}, 200},
		{"models for another page", "GET /v1/models", http.Header{"Origin": {evil}}, 403},
		{"sign-up", "POST /api/signup", http.Header{}, 200},
		{"sign-up by another page", "POST /api/signup", http.Header{"Origin": {evil}}, 403},
		{"sign-up by another page, with a key", "POST /api/signup", http.Header{"Origin": {evil}, "Authorization": {"Bearer any"}}, 403},
		{"health", "GET /healthz", http.Header{"Origin": {evil}}, 200},
	} {
		x := exchange{line: tt.line, header: tt.header}
		if strings.HasPrefix(tt.line, "POST") {
			x.body = hello
		}
		w := do(t, s, x)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
		}
		if w.Code == 403 && !strings.Contains(errorOf(t, w.Body.Bytes()).Message, "COMPOSER_ALLOWED_HOSTS") {
			t.Errorf("%s: %s", tt.name, w.Body)
		}
	}
}
