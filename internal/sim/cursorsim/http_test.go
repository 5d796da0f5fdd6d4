package cursorsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/sim/script"
)

func TestRoutes(t *testing.T) {
	sim := New(Config{Seed: 5, Script: &script.Script{Turns: []script.Turn{{}, {}}}})
	for _, c := range []struct {
		what, method, path, key, body string
		status                        int
		want                          string // what the answer contains
	}{
		{"a good key", "POST", "/auth/exchange_user_api_key", "crsr_ada", "{}", 200, `"accessToken":"ey`},
		{"a bad key", "POST", "/auth/exchange_user_api_key", "crsr_bad", "{}", 401, `"code":"unauthenticated"`},
		{"no key", "POST", "/auth/exchange_user_api_key", "", "{}", 401, `"code":"unauthenticated"`},
		{"a limited key", "POST", "/auth/exchange_user_api_key", "crsr_limited_1", "{}", 429, `"code":"resource_exhausted"`},
		{"a server that is down", "POST", "/auth/exchange_user_api_key", "crsr_down", "{}", 503, `"code":"unavailable"`},
		{"who am I", "GET", "/v1/me", "crsr_ada", "", 200, `"userFirstName":"Sim"`},
		{"a team's key", "GET", "/v1/me", "crsr_team", "", 200, `{"apiKeyName":"Simulated key","createdAt":"2026-01-02T03:04:05.000Z"}`},
		{"a stranger", "GET", "/v1/me", "crsr_bad", "", 401, `{"error":{"code":"unauthenticated",`},
		{"models", "GET", "/v1/models", "crsr_ada", "", 200, `{"items":[{"id":"composer-2.5","displayName":"Composer 2.5"`},
		{"a method that the simulator lacks", "POST", "/aiserver.v1.DashboardService/GetUserPrivacyMode", "", "", 404, `"code":"unimplemented"`},
		{"the repositories of no team", "POST", "/aiserver.v1.DashboardService/GetTeamReposOrEmptyIfNotInTeam", "", "", 200, ""},
		{"the stream over HTTP/1.1", "POST", "/agent.v1.AgentService/Run", "", "", 505, `use RunSSE`},
		{"an append without a token", "POST", "/aiserver.v1.BidiService/BidiAppend", "", "", 401, `"code":"unauthenticated"`},
		{"no runs yet", "GET", "/sim/runs", "", "", 200, `{"runs":[]}`},
		{"no violations yet", "GET", "/sim/violations", "", "", 200, `{"violations":[]}`},
		{"the state", "GET", "/sim/state", "", "", 200, `{"seed":5,"exchanges":1,"runs":0,"open":0,"turnsLeft":2}`},
		{"a script", "POST", "/sim/script", "", "text Hello", 204, ""},
		{"a wrong script", "POST", "/sim/script", "", "text Hello\nshout", 400, `script:2: unknown step`},
		{"forgetting", "DELETE", "/sim/runs", "", "", 204, ""},
		{"revoking", "POST", "/sim/revoke", "", "", 204, ""},
	} {
		req := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
		if c.key != "" {
			req.Header.Set("Authorization", "Bearer "+c.key)
		}
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, req)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: got %d %s, want %d and %s", c.what, w.Code, w.Body, c.status, c.want)
		}
	}
}

// The record must not hold what opens doors.
func TestSecretsAreNotRecorded(t *testing.T) {
	header := http.Header{"Authorization": {"Bearer secret"}, "X-Blob-Encryption-Key": {"secret"}, "Cookie": {"secret"}, "X-Request-Id": {"r"}}
	want := map[string][]string{"x-request-id": {"r"}}
	if diff := cmp.Diff(want, publicHeader(header)); diff != "" {
		t.Error(diff)
	}
}

// Real ports: plaintext with both protocols, and TLS with the certificate that was written.
func TestServe(t *testing.T) {
	listen := func() net.Listener {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := Listeners{Plain: listen(), TLS: listen(), CAFile: filepath.Join(t.TempDir(), "ca.pem")}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- New(Config{}).Serve(ctx, l) }()

	var http1, h2c, h2 http.Protocols
	http1.SetHTTP1(true)
	h2c.SetUnencryptedHTTP2(true)
	h2.SetHTTP2(true)
	for _, c := range []struct {
		url       string
		protocols *http.Protocols
		want      string
	}{
		{"http://" + l.Plain.Addr().String(), &http1, "HTTP/1.1"},
		{"http://" + l.Plain.Addr().String(), &h2c, "HTTP/2.0"},
		{"https://" + l.TLS.Addr().String(), &h2, "HTTP/2.0"},
	} {
		transport := &http.Transport{Protocols: c.protocols}
		req, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer crsr_ada")
		if strings.HasPrefix(c.url, "https") {
			// The plaintext answers came, so the certificate is written.
			ca, err := os.ReadFile(l.CAFile)
			if err != nil {
				t.Fatal(err)
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(ca)
			transport.TLSClientConfig = &tls.Config{RootCAs: pool}
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.Proto != c.want || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s, want %s", c.url, resp.Proto, resp.Status, c.want)
		}
		transport.CloseIdleConnections()
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
