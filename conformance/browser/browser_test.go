// Package browser drives the pages in a real browser: Debian's Chromium, by way of Playwright. A test is a script in
// JavaScript that does what a person does; page.mjs holds every page to the same rules.
package browser

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// TestChat runs each script below chat with a gateway and a simulator of its own; those called demo_… with a gateway that
// has neither upstream nor key.
func TestChat(t *testing.T) {
	scripts, err := filepath.Glob("chat/*.mjs")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	at := startBrowser(t)
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".mjs"), func(t *testing.T) {
			if strings.HasPrefix(filepath.Base(script), "demo_") {
				drive(t, at, script, harness.StartDemo(t).URL)
				return
			}
			sim := harness.StartSim(t)
			drive(t, at, script, harness.StartGateway(t, sim).URL, "SIM_URL="+sim.URL, "API_KEY="+harness.Key)
			if wrong := sim.Violations(); len(wrong) > 0 {
				t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
			}
		})
	}
}

// startBrowser starts a Chromium for all scripts of a test, and returns the address at which they reach it. It ends with the
// test. To start one takes as long as a short script.
func startBrowser(t *testing.T) string {
	t.Helper()
	chromium := chromium(t)
	ctx, kill := context.WithCancel(context.WithoutCancel(t.Context())) // which ends before the clean-up
	cmd := exec.CommandContext(ctx, harness.Node(t), "chromium.mjs")
	cmd.Env, cmd.Stderr = append(os.Environ(), "CHROMIUM="+chromium), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		late := time.AfterFunc(time.Minute, kill)
		cmd.Wait()
		late.Stop()
		kill()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the browser does not say where it is: %v", err)
	}
	return strings.TrimSpace(address)
}

// drive runs a script against the gateway at url, in the browser at the other address.
func drive(t *testing.T, browser, script, url string, env ...string) {
	t.Helper()
	env = append(env, "COMPOSER_TEST_SCREENSHOTS="+os.Getenv("COMPOSER_TEST_SCREENSHOTS"))
	out := harness.RunNode(t, `await import("./browser/`+script+`");`, append(env, "BASE_URL="+url, "BROWSER="+browser)...)
	if out != "" {
		t.Log(out)
	}
}

// required names the variable that makes a missing browser a failure, as in CI.
const required = "COMPOSER_TEST_REQUIRE_BROWSER"

// chromium is the browser's program; CHROMIUM may name another. Where there is none, the test is skipped.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if at, err := exec.LookPath(name); name != "" && err == nil {
			return at
		}
	}
	if os.Getenv(required) != "" {
		t.Fatal("there is no Chromium; conformance/install.sh installs it as root on Debian")
	}
	t.Skip("there is no Chromium; hint: install it, or name one in CHROMIUM")
	return ""
}
