package harness

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// agentLimit is how long a coding agent may take for its task. OpenCode alone needs several seconds of CPU time.
const agentLimit = 4 * time.Minute

// An Agent is a coding agent that is run without its user interface.
type Agent struct {
	// Home is its home folder, Work the folder it works in: both private.
	Home, Work string
	// t is the test that fails when the agent does.
	t testing.TB
}

// NewAgent makes the folders for an agent.
func NewAgent(t testing.TB) *Agent {
	t.Helper()
	// The real names: an agent that compares paths sees through links.
	home, err1 := filepath.EvalSymlinks(t.TempDir())
	work, err2 := filepath.EvalSymlinks(t.TempDir())
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return &Agent{Home: home, Work: work, t: t}
}

// Run runs program in Work and returns what it printed. env is added to a clean environment. The test fails when the
// agent fails, or doesn't come to an end. What an agent achieved is judged by what it did: some exit 0 on errors.
func (a *Agent) Run(program string, env []string, args ...string) (stdout string) {
	a.t.Helper()
	out, errs, err := a.run(program, env, args)
	if err != nil {
		a.t.Fatalf("%s: %v\n%s%s", filepath.Base(program), err, out, errs)
	}
	return string(out)
}

// RunToFailure is Run for a program that must fail by itself.
func (a *Agent) RunToFailure(program string, env []string, args ...string) (stdout string) {
	a.t.Helper()
	out, errs, err := a.run(program, env, args)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		a.t.Fatalf("%s did not fail: %v\n%s%s", filepath.Base(program), err, out, errs)
	}
	return string(out)
}

// run runs the agent. What it has printed is logged at the end of a test that failed.
func (a *Agent) run(program string, env, args []string) (stdout, stderr []byte, err error) {
	c := command{dir: a.Work, env: append(cleanEnv(a.Home), env...), program: program, args: args, limit: agentLimit}
	stdout, stderr, err = c.run(a.t)
	a.t.Cleanup(func() {
		if a.t.Failed() {
			a.t.Logf("%s printed:\n%s\n%s", filepath.Base(program), shorten(stdout), shorten(stderr))
		}
	})
	return stdout, stderr, err
}

// WriteFile puts a file into the agent's folder, such as a.Work.
func (a *Agent) WriteFile(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// WantFile fails the test unless the file holds text.
func (a *Agent) WantFile(name, text string) {
	a.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		a.t.Errorf("the agent did not write its file: %v", err)
	} else if string(data) != text {
		a.t.Errorf("%s holds %q, want %q", filepath.Base(name), data, text)
	}
}
