package sdkbridge

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// gateway starts a gateway on the real bridge, whose private folders lie in root, with variables after its own.
func gateway(t *testing.T, sim *harness.Sim, root string, variables ...string) *harness.Gateway {
	return harness.StartReplica(t, sim, append([]string{
		"COMPOSER_DB=" + t.TempDir() + "/composer.db", "COMPOSER_UPSTREAM=sdkbridge", "COMPOSER_SDK_BRIDGE=" + harness.Bridge(t), "XDG_RUNTIME_DIR=" + root,
	}, variables...))
}

// ask sends a streamed chat completion with one user message. The body is closed with the test.
func ask(t *testing.T, g *harness.Gateway, prompt string) *http.Response {
	t.Helper()
	resp, err := try(t, g, prompt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// try is ask for any goroutine. The caller closes the body.
func try(t *testing.T, g *harness.Gateway, prompt string) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{
		"model": "composer-2.5", "stream": true, "messages": []map[string]string{{"role": "user", "content": prompt}},
	})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.BaseURL()+"/chat/completions", strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+harness.Key)
	r.Header.Set("Content-Type", "application/json")
	return http.DefaultClient.Do(r)
}

// pid is the process id of the one bridge that runs below root.
func pid(t *testing.T, root string) (pid int) {
	t.Helper()
	eventually(t, "a bridge runs", func() bool {
		for _, file := range files(root) {
			if text, err := os.ReadFile(file); err == nil {
				pid, _ = strconv.Atoi(string(text))
			}
		}
		return pid != 0
	})
	return pid
}

// files hold the process ids of the bridges below root.
func files(root string) []string {
	found, _ := filepath.Glob(filepath.Join(root, "composer-api-bridge-*", "child-*", "pid"))
	return found
}

func kill(t *testing.T, pid int) {
	t.Helper()
	process, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
}

var tlsAddress = regexp.MustCompile(`https://127\.0\.0\.1:\d+`)

// TestTLS has the gateway trust an authority of the operator's: the bridge, which can't read that file itself, trusts it
// too.
func TestTLS(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	sim := harness.StartSim(t, "--calm", "--tls-addr=127.0.0.1:0", "--ca-out="+ca)
	sim.Play("turn always\ntext hello")
	g := gateway(t, sim, t.TempDir(), "CURSOR_BACKEND_BASE_URL="+tlsAddress.FindString(sim.Output()), "COMPOSER_CA_FILE="+ca)
	resp := ask(t, g, "hi")
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), "hello") || !strings.Contains(string(text), "[DONE]") {
		t.Errorf("%s, %v: %s", resp.Status, err, text)
	}
	if upstream := resp.Header.Get("x-composer-upstream"); upstream != "sdkbridge" {
		t.Errorf("it came by %s", upstream)
	}
	if runs := sim.Runs(); len(runs) != 1 {
		t.Errorf("%d runs upstream", len(runs))
	}
}

// TestAKilledBridge kills the bridge in the middle of an answer, which ends in a clear error, and before an answer, which
// comes from the next bridge.
func TestAKilledBridge(t *testing.T) {
	root, sim := t.TempDir(), harness.StartSim(t)
	g := gateway(t, sim, root)

	sim.Play("turn always\ntext It begins.\nhold")
	resp := ask(t, g, "hi")
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "It begins.") {
			break
		}
	}
	first := pid(t, root)
	kill(t, first)
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.Contains(string(rest), `"error"`) || !strings.Contains(string(rest), "bridge") || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("after the death: %v, %s", err, rest)
	}

	sim.Play("turn always\nhold")
	eventually(t, "the next bridge runs", func() bool { return pid(t, root) != first })
	answered := make(chan string)
	go func() {
		resp, err := try(t, g, "hi")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		answered <- string(text)
	}()
	sim.Await("the second run", func(runs []harness.Run) bool { return len(runs) == 2 })
	sim.Play("turn always\ntext hello")
	kill(t, pid(t, root))
	if text := <-answered; !strings.Contains(text, "hello") || !strings.Contains(text, "[DONE]") {
		t.Errorf("an answer that had not begun: %s", text)
	}
}
