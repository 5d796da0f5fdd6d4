package harness

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// nodeLimit is how long a script may take. It is far more than any needs.
const nodeLimit = 4 * time.Minute

// Installed is the path of something below node_modules. In path, PLATFORM stands for [Platform], and * for any text. The
// test fails when there isn't exactly one: what can't be tested is not passed over in silence.
func Installed(t testing.TB, path string) string {
	t.Helper()
	path = strings.ReplaceAll(path, "PLATFORM", Platform())
	found, err := filepath.Glob(filepath.Join(root(), "node_modules", path))
	if err != nil || len(found) != 1 {
		t.Fatalf("there are %d of node_modules/%s (%v); conformance/install.sh installs the clients", len(found), path, err)
	}
	return found[0]
}

// Platform is this machine in the names of npm's packages: "linux-x64", "darwin-arm64".
func Platform() string { return platform(runtime.GOOS, runtime.GOARCH) }

// platform is Platform for any machine, for its test.
func platform(goos, goarch string) string {
	if goarch == "amd64" {
		goarch = "x64"
	}
	return goos + "-" + goarch
}

// node22 is a program of its own package: see install.sh. For Apple's ARM processors that has another name.
const node22 = "../node/node_modules/node-*PLATFORM/bin/node"

// Node is the path of the Node that clients run on.
func Node(t testing.TB) string {
	t.Helper()
	return Installed(t, node22)
}

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
		program: Node(t), args: []string{"--input-type=module", "-"}, stdin: strings.NewReader(source),
		limit: nodeLimit,
	}
	stdout, stderr, err := c.run(t)
	if err != nil {
		t.Fatalf("node: %v\n%s%s", err, stdout, stderr)
	}
	return string(stdout)
}

// RunBridgeSDK runs a module of ours, a path below the conformance folder, with the SDK and the Node that lie in the
// Python package cursor-sdk, and returns what it printed. It skips the test where the package isn't installed: there
// are none for some platforms.
func RunBridgeSDK(t testing.TB, module string, env ...string) string {
	t.Helper()
	bridge := Bridge(t)
	// A module finds its packages in a node_modules folder beside it.
	home, work := t.TempDir(), t.TempDir()
	source, err := os.ReadFile(filepath.Join(root(), module))
	if err == nil {
		err = os.WriteFile(filepath.Join(work, "main.mjs"), source, 0o600)
	}
	if err == nil {
		err = os.Symlink(filepath.Join(bridge, "node_modules"), filepath.Join(work, "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
	c := command{
		dir: work, env: append(append(cleanEnv(home), "NODE_NO_WARNINGS=1"), env...),
		program: filepath.Join(bridge, "bin/node"), args: []string{"main.mjs"}, limit: nodeLimit,
	}
	stdout, stderr, err := c.run(t)
	if err != nil {
		t.Fatalf("node: %v\n%s%s", err, stdout, stderr)
	}
	return string(stdout)
}

// Bridge is the folder of Cursor's published bridge, which lies in the Python package cursor-sdk. It skips the test where
// the package isn't installed: there are none for some platforms.
func Bridge(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root(), ".cache/cursor-sdk-1.1.0/lib/python*/site-packages/cursor_sdk/_vendor/bridge"))
	if err != nil || len(found) == 0 {
		t.Skip("the Python package cursor-sdk 1.1.0 is not installed; conformance/install.sh installs it where it can be had")
	}
	return found[0]
}
