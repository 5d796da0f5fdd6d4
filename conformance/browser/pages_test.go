package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// TestPages runs each script below pages with a gateway of its own that has hosted keys, and an operator's token; those
// called demo_… with the demo.
func TestPages(t *testing.T) {
	scripts, err := filepath.Glob("pages/*.mjs")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	at := startBrowser(t)
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".mjs")
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "demo_") {
				drive(t, at, script, harness.StartDemo(t).URL)
				return
			}
			sim := harness.StartSim(t)
			variables := []string{"COMPOSER_DB=" + t.TempDir() + "/composer.db", "ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_SIGNUP_LIMIT=1000"}
			gateway := harness.StartReplica(t, sim, variables)
			token := strings.TrimSpace(harness.Operate(t, variables, "admin", "token"))
			drive(t, at, script, gateway.URL, "SIM_URL="+sim.URL, "API_KEY="+harness.Key, "OPERATOR_TOKEN="+token)
			if wrong := sim.Violations(); len(wrong) > 0 {
				t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
			}
			if log := gateway.Output(); strings.Contains(log, token) || strings.Contains(log, harness.Key) {
				t.Errorf("the log holds a secret:\n%s", log)
			}
		})
	}
}

// TestMeasure prints how soon pages can be used on a slow phone, when COMPOSER_TEST_MEASURE is set. docs/design-of-pages.md has
// what it said.
func TestMeasure(t *testing.T) {
	if os.Getenv("COMPOSER_TEST_MEASURE") == "" {
		t.Skip("numbers need a quiet machine; set COMPOSER_TEST_MEASURE to have them")
	}
	drive(t, startBrowser(t), "measure.mjs", harness.StartDemo(t).URL)
}
