package reach_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/reach"
)

func TestAProbeAsksForNothingAndTakesAnyAnswer(t *testing.T) {
	for status, reached := range map[int]bool{200: true, 302: true, 401: true, 404: true, 405: true, 426: true, 500: true, 502: false, 503: false, 504: false} {
		var asked string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked = r.Method + " " + r.URL.Path + r.Header.Get("Authorization") + string(body)
			w.WriteHeader(status)
		}))
		err := reach.Probe(t.Context(), server.Client().Transport, strings.Replace(server.URL, "://", "://me:hunter2@", 1)+"/private?x=1", "SETTING")
		if (err == nil) != reached || asked != "HEAD /" {
			t.Errorf("%d: %v, and the server was asked %q", status, err, asked)
		}
		if err != nil && (agent.CodeOf(err) != agent.Upstream || strings.Contains(agent.AsError(err).Message, "hunter2")) {
			t.Errorf("%d: %v: %s", status, err, agent.AsError(err).Message)
		}
		server.Close()
	}
	if err := reach.Probe(t.Context(), http.DefaultTransport, "://", "SETTING"); agent.CodeOf(err) != agent.NotConfigured {
		t.Errorf("no address: %v", err)
	}
}
