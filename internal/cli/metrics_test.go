package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"composer-api/internal/cli"
)

var metricsLine = regexp.MustCompile(`metrics +(http://\S+)/metrics`)

func TestTheOperatorsListenerHasMetricsAndProfilesAndTheAPIHasNeither(t *testing.T) {
	s := serve(t, nil, "--demo", "--metrics-addr=127.0.0.1:0")
	found := metricsLine.FindStringSubmatch(s.line)
	if found == nil {
		t.Fatalf("it doesn't say where its metrics are: %q", s.line)
	}
	resp := s.post(t, `{"model":"composer-2.5","messages":[{"role":"user","content":"hello"}]}`)
	if body := bodyOf(t, resp); resp.StatusCode != http.StatusOK {
		t.Fatal(body)
	}
	status, body := get(t, found[1]+"/metrics")
	if want := `composer_turns_total{backend="demo",model="composer-2.5",outcome="stop",resume="new",surface="chat"} 1`; status != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("status %d, and no %s in\n%s", status, want, body)
	}
	if status, body := get(t, found[1]+"/debug/pprof/goroutine?debug=1"); status != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("status %d: %s", status, body)
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
		if status, _ := get(t, s.url+path); status != http.StatusNotFound {
			t.Errorf("%s on the API's listener: status %d", path, status)
		}
	}
}

// The end of a server is when its operator looks at its metrics.
func TestMetricsCanBeReadWhileTheServerDrains(t *testing.T) {
	s := serve(t, nil, "--demo", "--metrics-addr=127.0.0.1:0")
	found := metricsLine.FindStringSubmatch(s.line)
	if found == nil {
		t.Fatalf("it doesn't say where its metrics are: %q", s.line)
	}
	stream, _ := begin(t, s, hanging)
	defer stream.Body.Close()
	s.stop()
	for draining := false; !draining; {
		resp := s.post(t, `{"model":"composer-2.5","messages":[{"role":"user","content":"hello"}]}`)
		bodyOf(t, resp)
		draining = resp.StatusCode == http.StatusServiceUnavailable
	}
	if status, body := get(t, found[1]+"/metrics"); status != http.StatusOK || !strings.Contains(body, "composer_turns_in_progress 1") {
		t.Errorf("status %d, and no turn in progress in\n%s", status, body)
	}
	stream.Body.Close()
	if code := <-s.exit; code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.rest)
	}
	s.exit = nil
}

func TestLogLinesAreJSONWhereThatIsAskedFor(t *testing.T) {
	s := serve(t, []string{"COMPOSER_LOG_FORMAT=json", "COMPOSER_LOG=warn,httpd=info"}, "--demo")
	resp := s.post(t, `{"model":"composer-2.5","messages":[{"role":"user","content":"hello"}]}`, "X-Request-Id", "req_mine")
	bodyOf(t, resp)
	s.stop()
	<-s.exit
	s.exit = nil
	lines := 0
	for line := range strings.Lines(s.rest.String()) {
		var entry struct{ Msg, ID string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%v in %q", err, line)
		}
		if entry.Msg != "request" || entry.ID != "req_mine" {
			t.Errorf("%q is written, although only httpd may write at this level", line)
		}
		lines++
	}
	if lines != 1 {
		t.Errorf("%d lines:\n%s", lines, s.rest)
	}
}

func TestALogLevelForAPartThatDoesNotExistIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	var stderr strings.Builder
	code := cli.Main(t.Context(), []string{"serve", "--demo", "--log=info,gatewy=debug"}, nil, strings.NewReader(""), io.Discard, &stderr)
	if code != 2 || !strings.Contains(stderr.String(), "the parts are server, httpd, gateway") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}
