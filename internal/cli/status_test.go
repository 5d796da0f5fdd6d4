package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"composer-api/internal/cli"
)

// status runs 'composer-api status' against a server, as the user whose home folder is home.
func (s *server) status(t *testing.T, home string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"status", "--addr", strings.TrimPrefix(s.url, "http://")}, args...)
	code = cli.Main(t.Context(), args, []string{"HOME=" + home}, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestStatusTellsWhatTheDemoDoes(t *testing.T) {
	s := serve(t, nil, "--demo")
	for range 2 {
		bodyOf(t, s.post(t, `{"model":"composer-2.5","messages":[{"role":"user","content":"hi"}]}`))
	}
	// A run that waits for the result of its tool.
	bodyOf(t, s.post(t, `{"model":"composer-2.5","tools":[{"type":"function","function":{"name":"look"}}],"messages":[{"role":"user","content":"sim: call look {}"}]}`))
	code, text, stderr := s.status(t, t.TempDir())
	for _, want := range []string{" on " + s.url + ", up for ", "takes turns", "Upstreams       demo\n", "Turns under way 0\n", "Turns today     3, 0 failed\n", "Tokens today    ", "Dollars today   $0.00, since "} {
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("code %d, no %q in\n%s%s", code, want, text, stderr)
		}
	}
	code, text, _ = s.status(t, t.TempDir(), "--json")
	var report struct {
		Turns  int
		Parked int
		Today  struct {
			Turns  int
			Output int64 `json:"output_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil || code != 0 || report.Today.Turns != 3 || report.Today.Output == 0 {
		t.Errorf("code %d, %v: %s", code, err, text)
	}
}

// TestStatusIsForTheUserOfTheGateway: the token of the server's state folder is asked for.
func TestStatusIsForTheUserOfTheGateway(t *testing.T) {
	exports := sim(t, "--calm")
	home := t.TempDir()
	s := serve(t, []string{"XDG_STATE_HOME=" + home, "CURSOR_API_BASE=" + exports["CURSOR_API_BASE"], "CURSOR_BACKEND_BASE_URL=" + exports["CURSOR_BACKEND_BASE_URL"], "CURSOR_LOCAL_AGENT_ENDPOINT=" + exports["CURSOR_LOCAL_AGENT_ENDPOINT"]})
	if code, _, stderr := s.status(t, t.TempDir()); code != 1 || !strings.Contains(stderr, "does not know this token") || !strings.Contains(stderr, "hint: ") {
		t.Errorf("another user: code %d: %s", code, stderr)
	}
	var out bytes.Buffer
	args := []string{"status", "--addr", strings.TrimPrefix(s.url, "http://")}
	if code := cli.Main(t.Context(), args, []string{"XDG_STATE_HOME=" + home}, strings.NewReader(""), &out, io.Discard); code != 0 || !strings.Contains(out.String(), "Upstreams       localagent\n") {
		t.Errorf("code %d: %s", code, out.String())
	}
	if status, body := get(t, s.url+"/status"); status != 401 || strings.Contains(body, "turns") {
		t.Errorf("without a token: %d %s", status, body)
	}
}

func TestStatusOfNobody(t *testing.T) {
	var errs bytes.Buffer
	if code := cli.Main(t.Context(), []string{"status", "--addr", nobody(t)}, []string{"HOME=" + t.TempDir()}, strings.NewReader(""), io.Discard, &errs); code != 1 || !strings.Contains(errs.String(), "no gateway answers") || !strings.Contains(errs.String(), "composer-api serve") {
		t.Errorf("code %d: %s", code, &errs)
	}
}

// TestStatusIsWatched: pages come one after the other until the user ends it, also when the gateway goes away.
func TestStatusIsWatched(t *testing.T) {
	s := serve(t, nil, "--demo")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- cli.Main(ctx, []string{"status", "--watch", "--every", "100ms", "--addr", strings.TrimPrefix(s.url, "http://")}, []string{"HOME=" + t.TempDir()}, strings.NewReader(""), write, io.Discard)
		write.Close()
	}()
	seen, buffer := "", make([]byte, 4096)
	until := func(want string, times int) {
		for strings.Count(seen, want) < times {
			n, err := read.Read(buffer)
			if seen += string(buffer[:n]); err != nil {
				t.Fatalf("it ended: %s", seen)
			}
		}
	}
	until("takes turns", 2)
	s.stop()
	<-s.exit
	s.exit = nil
	until("no gateway answers", 1)
	cancel()
	io.Copy(io.Discard, read)
	if code := <-exit; code != 0 {
		t.Errorf("code %d", code)
	}
	if strings.Contains(seen, "\x1b") {
		t.Errorf("what is no terminal gets control sequences: %q", seen)
	}
}
