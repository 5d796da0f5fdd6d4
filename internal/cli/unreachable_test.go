package cli_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// nobody is an address that nothing listens at.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// TestAnUpstreamThatCanNotBeReachedIsNamedEverywhere: a turn, the list of models and /readyz each know of it, whichever
// upstream it is, and say which address it is and what is wrong.
func TestAnUpstreamThatCanNotBeReachedIsNamedEverywhere(t *testing.T) {
	away := nobody(t)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	host := secure.Listener.Addr().String()
	const refused = "the connection was refused, so nothing listens there"
	for _, tt := range []struct {
		name    string
		environ []string
		path    string // of the base that goes to this upstream
		status  int    // of a turn
		want    string // in its error
	}{
		{"localagent", []string{"CURSOR_BACKEND_BASE_URL=http://" + away, "CURSOR_LOCAL_AGENT_ENDPOINT=/run"}, "/v1", 502, "http://" + away + ": " + refused},
		{"chat", []string{"CURSOR_BACKEND_BASE_URL=http://" + away, "CURSOR_CHAT_ENDPOINT=/chat"}, "/v1", 502, "http://" + away + ": " + refused},
		{"http for https", []string{"CURSOR_BACKEND_BASE_URL=http://" + host, "CURSOR_LOCAL_AGENT_ENDPOINT=/run"}, "/v1", 503, "https is spoken there, not http; write https:// in CURSOR_BACKEND_BASE_URL"},
		{"a certificate of nobody's", []string{"CURSOR_BACKEND_BASE_URL=https://" + host, "CURSOR_LOCAL_AGENT_ENDPOINT=/run"}, "/v1", 502, "name its authority with COMPOSER_CA_FILE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, append(tt.environ, "CURSOR_API_BASE=http://"+away))
			if status, body := s.postTo(t, tt.path+"/chat/completions", directCursorKey, question); status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("a turn: status %d: %s", status, body)
			}
			if status, body := s.getWith(t, tt.path+"/models", directCursorKey); status != 502 || !strings.Contains(body, "Cursor can't be reached at http") {
				t.Errorf("the list of models: status %d: %s", status, body)
			}
			if status, body := get(t, s.url+"/readyz"); status != 503 || !strings.Contains(body, `"upstream":"unreachable"`) {
				t.Errorf("readyz: status %d: %s", status, body)
			}
			if status, body := get(t, s.url+"/healthz"); status != 200 {
				t.Errorf("healthz: status %d: %s", status, body)
			}
		})
	}
}

// TestReadyzNeedsNoKeyAndCostsUpstreamNoRun has a simulator behind the gateway, which would tell of either.
func TestReadyzNeedsNoKeyAndCostsUpstreamNoRun(t *testing.T) {
	exports := sim(t, "--calm")
	for _, endpoint := range []string{"CURSOR_LOCAL_AGENT_ENDPOINT", "CURSOR_CHAT_ENDPOINT"} {
		s := serve(t, []string{"CURSOR_API_BASE=http://" + nobody(t), "CURSOR_BACKEND_BASE_URL=" + exports["CURSOR_BACKEND_BASE_URL"], endpoint + "=" + exports[endpoint]})
		for range 3 {
			if status, body := get(t, s.url+"/readyz"); status != 200 || !strings.Contains(body, `"upstream":"ok"`) {
				t.Errorf("%s: status %d: %s", endpoint, status, body)
			}
		}
		// Only the catalogue is away: the models that every key may use are listed, and it is said.
		if status, body := s.getWith(t, "/v1/models", directCursorKey); status != 200 || !strings.Contains(body, `"catalogue":"builtin"`) {
			t.Errorf("%s: the list of models: status %d: %s", endpoint, status, body)
		}
	}
	for path, want := range map[string]string{"/sim/runs": `"runs":[]`, "/sim/violations": `"violations":[]`} {
		if status, body := get(t, exports["CURSOR_BACKEND_BASE_URL"]+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

// getWith is get with a key.
func (s *server) getWith(t *testing.T, path, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, bodyOf(t, resp)
}
