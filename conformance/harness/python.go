package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// pythonLimit is how long a script may take. Importing a client alone may take seconds of CPU time.
const pythonLimit = 4 * time.Minute

// RunPython runs a file with the Python in which the clients of python/requirements.txt are installed, and returns what
// it printed. env is added to a clean environment. The test fails when the script does. It is skipped where the
// clients aren't installed, unless COMPOSER_TEST_REQUIRE_PYTHON is set.
func RunPython(t testing.TB, file string, env ...string) string {
	t.Helper()
	return runPython(t, ".cache/python", file, env)
}

// RunInstructor is RunPython with the Python in which instructor is installed. It has one of its own, because it wants older
// versions of what the other clients need.
func RunInstructor(t testing.TB, file string, env ...string) string {
	t.Helper()
	return runPython(t, ".cache/python-instructor", file, env)
}

// RunAider is RunPython with the Python in which aider is installed, for the same reason.
func RunAider(t testing.TB, file string, env ...string) string {
	t.Helper()
	return runPython(t, ".cache/python-aider", file, env)
}

// RunSchemathesis is RunPython with the Python in which Schemathesis is installed.
func RunSchemathesis(t testing.TB, file string, env ...string) string {
	t.Helper()
	return runPython(t, ".cache/python-schemathesis", file, env)
}

// RunCursorSDK is RunPython for a file that uses Cursor's package cursor-sdk, with the bridge in it. It skips the test where
// the package isn't installed: there are none for some platforms.
func RunCursorSDK(t testing.TB, file string, env ...string) string {
	t.Helper()
	// …/site-packages/cursor_sdk/_vendor/bridge. What the package needs beside itself, the other clients need as well.
	packages := filepath.Dir(filepath.Dir(filepath.Dir(Bridge(t))))
	return runPython(t, ".cache/python", file, append(env, "PYTHONPATH="+packages))
}

// AiderPython is the Python in which aider is installed, for those who run it as a program: python -m aider. It skips the test
// as RunAider does.
func AiderPython(t testing.TB) string {
	t.Helper()
	return python(t, ".cache/python-aider")
}

// runPython runs a file with the Python of a virtual environment. The file is a path below the package's folder.
func runPython(t testing.TB, venv, file string, env []string) string {
	t.Helper()
	program := python(t, venv)
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	c := command{
		dir: home, env: append(cleanEnv(home), env...),
		program: program, args: []string{file}, limit: pythonLimit,
	}
	stdout, stderr, err := c.run(t)
	if err != nil {
		t.Fatalf("python: %v\n%s%s", err, stdout, stderr)
	}
	return string(stdout)
}

// python is the Python of a virtual environment below this module's folder.
func python(t testing.TB, venv string) string {
	t.Helper()
	venv = filepath.Join(root(), venv)
	if _, err := os.Stat(filepath.Join(venv, ".installed")); err != nil {
		const reason = "the Python clients are not installed; conformance/python.sh installs them where it can"
		if os.Getenv("COMPOSER_TEST_REQUIRE_PYTHON") != "" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	return filepath.Join(venv, "bin/python")
}

// UV is the path of the program uv; "" when it isn't installed.
func UV(t testing.TB) string {
	t.Helper()
	if program, err := exec.LookPath("uv"); err == nil {
		return program
	}
	program := filepath.Join(root(), ".cache/uv/bin/uv")
	if _, err := os.Stat(program); err != nil {
		return ""
	}
	return program
}

// Cache is a folder for what tests get from registries, which outlives them.
func Cache(name string) string { return filepath.Join(root(), ".cache", name) }
