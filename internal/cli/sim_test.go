package cli_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/cli"
)

// sim starts `composer-api sim` in this process and returns what it tells its user to export.
func sim(t *testing.T, args ...string) map[string]string {
	t.Helper()
	stdout, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	exit := make(chan int, 1)
	stderr := &lockedBuffer{}
	go func() {
		exit <- cli.Main(ctx, append([]string{"sim", "--addr=127.0.0.1:0"}, args...), nil, strings.NewReader(""), w, stderr)
		w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-exit; code != 0 {
			t.Errorf("sim: exit code %d: %s", code, stderr)
		}
	})
	exports := make(map[string]string)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "export "); ok {
			name, value, _ := strings.Cut(text, "=")
			exports[name] = value
		}
		if lines.Text() == "# ready" {
			go io.Copy(io.Discard, stdout)
			return exports
		}
	}
	t.Fatalf("sim ended: %s", stderr)
	return nil
}

func TestSimSaysHowToUseIt(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	exports := sim(t, "--calm", "--addr=0", "--tls-addr=0", "--ca-out="+ca) // a port alone is one of this machine
	if base := exports["CURSOR_API_BASE"]; !strings.HasPrefix(base, "http://127.0.0.1:") {
		t.Errorf("it listens on %s", base)
	}
	for _, name := range []string{"CURSOR_API_BASE", "CURSOR_BACKEND_BASE_URL", "CURSOR_LOCAL_AGENT_ENDPOINT", "CURSOR_CHAT_ENDPOINT"} {
		if exports[name] == "" {
			t.Errorf("%s is not among %v", name, exports)
		}
	}
	if exports["COMPOSER_CA_FILE"] != ca {
		t.Errorf("COMPOSER_CA_FILE is %q", exports["COMPOSER_CA_FILE"])
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, exports["CURSOR_API_BASE"]+"/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer crsr_test")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if body := bodyOf(t, resp); resp.StatusCode != 200 {
		t.Errorf("/v1/me: status %d: %s", resp.StatusCode, body)
	}
}

// TestModelsFromTheSimulator also shows that the exports are what another command needs.
func TestModelsFromTheSimulator(t *testing.T) {
	t.Chdir(t.TempDir())
	environ := []string{"CURSOR_API_KEY=crsr_test"}
	for name, value := range sim(t, "--seed=7") {
		environ = append(environ, name+"="+value)
	}
	var stdout, stderr strings.Builder
	if code := cli.Main(t.Context(), []string{"models"}, environ, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	if !strings.Contains(stdout.String(), "composer-2.5-fast") {
		t.Errorf("the list is\n%s", &stdout)
	}
}
