// Package browser drives the pages in a real browser: Debian's Chromium, by way of Playwright. A test is a script in
// JavaScript that does what a person does; page.mjs holds every page to the same rules.
package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".mjs"), func(t *testing.T) {
			if strings.HasPrefix(filepath.Base(script), "demo_") {
				drive(t, script, harness.StartDemo(t).URL)
				return
			}
			sim := harness.StartSim(t)
			drive(t, script, harness.StartGateway(t, sim).URL, "SIM_URL="+sim.URL, "API_KEY="+harness.Key)
			if wrong := sim.Violations(); len(wrong) > 0 {
				t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
			}
		})
	}
}

// drive runs a script against the gateway at url.
func drive(t *testing.T, script, url string, env ...string) {
	t.Helper()
	env = append(env, "COMPOSER_TEST_SCREENSHOTS="+os.Getenv("COMPOSER_TEST_SCREENSHOTS"))
	out := harness.RunNode(t, `await import("./browser/`+script+`");`, append(env, "BASE_URL="+url, "CHROMIUM="+chromium(t))...)
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
