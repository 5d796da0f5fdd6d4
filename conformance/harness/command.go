package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"
)

// A command is a client that runs to its end.
type command struct {
	// dir is its working directory, and program its path.
	dir string
	// env is all of its environment, and limit how long it may take. stdin may be nil.
	env     []string
	stdin   io.Reader
	program string
	args    []string
	limit   time.Duration
}

// run runs the command and returns what it printed. A client that fails or takes too long is an error. Its children
// end with it.
func (c *command) run(t testing.TB) (stdout, stderr []byte, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), c.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Dir, cmd.Env, cmd.Stdin = c.dir, c.env, c.stdin
	endWithChildren(cmd)
	// Grandchildren may hold the pipes open.
	cmd.WaitDelay = 2 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("did not end within %s", c.limit)
	}
	return out.Bytes(), errs.Bytes(), err
}

// Operate runs a command of the binary that ends by itself, with variables added to a clean environment, and returns
// what it printed.
func Operate(t testing.TB, variables []string, args ...string) string {
	t.Helper()
	out, err := TryOperate(t, variables, args...)
	if err != nil {
		t.Fatalf("composer-api %v: %v\n%s", args, err, out)
	}
	return out
}

// operateLimit is how long a command may take. The longest one gets 59 MB from a registry.
const operateLimit = 5 * time.Minute

// TryOperate is Operate for a command that may fail; then it returns all that the command printed, errors first.
func TryOperate(t testing.TB, variables []string, args ...string) (string, error) {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	// Each command has a home of its own, so nothing stays from the one before.
	home := t.TempDir()
	c := command{dir: home, env: append(cleanEnv(home), variables...), program: binary, args: args, limit: operateLimit}
	stdout, stderr, err := c.run(t)
	if err != nil {
		return string(stderr) + string(stdout), err
	}
	return string(stdout), nil
}
