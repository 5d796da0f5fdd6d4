package sdkbridge

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// TestInstall gets the bridge from PyPI as a user does: with pip, and with uv alone. It then looks at it, uses it, and
// removes it. What was got once is taken from a cache of the tests' own.
func TestInstall(t *testing.T) {
	// The program itself: what is on PATH may be a script that looks for it there.
	out, err := exec.CommandContext(t.Context(), "python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Skipf("no python3: %v", err)
	}
	python := strings.TrimSpace(string(out))
	for name, program := range map[string]string{"pip": python, "uv": harness.UV(t)} {
		t.Run(name, func(t *testing.T) {
			if program == "" {
				t.Skip("uv is not installed; conformance/install.sh installs it")
			}
			path, state := t.TempDir(), t.TempDir()
			// Nothing else is on PATH but what uv's own scripts need.
			for _, tool := range []string{"realpath", "dirname"} {
				if found, err := exec.LookPath(tool); err == nil {
					if err := os.Symlink(found, filepath.Join(path, tool)); err != nil {
						t.Fatal(err)
					}
				}
			}
			name := map[string]string{"pip": "python3", "uv": "uv"}[name]
			if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/sh\nexec '"+program+"' \"$@\"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			env := append(registry(t), "PATH="+path, "XDG_STATE_HOME="+state, "UV_PYTHON="+python)
			if out, err := harness.TryOperate(t, env, "upstream", "install"); err != nil {
				if reachable(t, python) {
					t.Fatalf("%v\n%s", err, out)
				}
				t.Skip("the registry can't be reached")
			} else if !strings.Contains(out, "proprietary") || !strings.Contains(out, "MB") || !strings.Contains(out, "checked: SHA-256") {
				t.Errorf("install said:\n%s", out)
			}
			status := harness.Operate(t, env, "upstream", "status")
			for _, want := range []string{"version      1.1.0", "path         " + state, "confinement  ", "health       ok"} {
				if !strings.Contains(status, want) {
					t.Errorf("the status lacks %q:\n%s", want, status)
				}
			}
			installedBridgeServes(t, env)
			if out := harness.Operate(t, env, "upstream", "remove"); !strings.Contains(out, "removed version 1.1.0") {
				t.Errorf("remove said: %s", out)
			}
			if left, err := filepath.Glob(filepath.Join(state, "composer-api", "bridge", "*")); err != nil || slices.ContainsFunc(left, func(name string) bool { return filepath.Base(name) != "lock" }) {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// installedBridgeServes starts a gateway with nothing configured but where Cursor is: it uses the bridge that is installed.
func installedBridgeServes(t *testing.T, env []string) {
	t.Helper()
	sim := harness.StartSim(t)
	sim.Play("turn always\ntext hello")
	g := harness.StartReplica(t, sim, append(env, "COMPOSER_DB="+t.TempDir()+"/composer.db", "COMPOSER_UPSTREAM=", "CURSOR_LOCAL_AGENT_ENDPOINT=", "CURSOR_CHAT_ENDPOINT="))
	if upstream := ask(t, g, "hi").Header.Get("x-composer-upstream"); upstream != "sdkbridge" {
		t.Errorf("the answer came by %q", upstream)
	}
	g.Stop()
}

// registry is what pip and uv need to know of this machine's way to the registry, and where they keep what they got.
func registry(t *testing.T) []string {
	t.Helper()
	var env []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "PIP_") || strings.HasPrefix(name, "UV_") || strings.HasPrefix(name, "SSL_") || strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env = append(env, variable)
		}
	}
	cache := harness.Cache("registry")
	return append(env, "PIP_CACHE_DIR="+filepath.Join(cache, "pip"), "UV_CACHE_DIR="+filepath.Join(cache, "uv"))
}

// reachable reports whether pip itself gets the package.
func reachable(t *testing.T, python string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", t.TempDir(), "cursor-sdk==1.1.0")
	return cmd.Run() == nil
}
