package harness

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Limits of what the harness waits for. They are for things that went wrong, so they are generous: a busy machine is
// no failure.
const (
	startLimit = 2 * time.Minute
	stopLimit  = 2 * time.Minute // longer than any test's --grace, which a run may use up whose client won't come back
	waitLimit  = time.Minute
)

// pollGap is how long a condition of another process is left alone before it is looked at again: at first, and after
// many times.
const pollGap, maxPollGap = 3 * time.Millisecond, 200 * time.Millisecond

// A server is a composer-api process that serves HTTP. It is stopped at the end of its test.
type server struct {
	// URL is where it listens, without a slash at the end.
	URL string

	// t fails when the process doesn't end well. name is its command, for messages.
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	output *output
	asked  sync.Once     // to end
	exited chan struct{} // closed once the process is gone
}

// listening finds the address in the line that a server prints when it is ready.
var listening = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// startServer runs `composer-api ARGS` with env added to an otherwise clean environment, and waits until it answers
// at path.
func startServer(t testing.TB, path string, env []string, args ...string) *server {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	s := &server{t: t, name: args[0], cmd: exec.Command(binary, args...), output: newOutput(), exited: make(chan struct{})}
	s.cmd.Dir = home
	s.cmd.Env = append(cleanEnv(home), env...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// One goroutine waits for the process; everybody else waits for exited.
	go func() {
		s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(s.end)
	if err := s.awaitReady(path); err != nil {
		t.Fatalf("%s: %v\n%s", s.name, err, s.output)
	}
	return s
}

// cleanEnv is an environment in which a program finds its tools and nothing of this machine's settings.
func cleanEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "LANG=C.UTF-8", "TZ=UTC"}
}

// awaitReady waits for the line with the address, and then for an answer of 200 at path.
func (s *server) awaitReady(path string) error {
	limit := time.After(startLimit)
	select {
	case s.URL = <-s.output.address:
	case <-s.exited:
		return fmt.Errorf("it ended at once: %s", s.cmd.ProcessState)
	case <-limit:
		return errors.New("it did not say where it listens")
	}
	for {
		resp, err := http.Get(s.URL + path)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.exited:
			return fmt.Errorf("it ended: %s", s.cmd.ProcessState)
		case <-limit:
			return fmt.Errorf("GET %s does not succeed (%v)", path, err)
		case <-time.After(pollGap):
		}
	}
}

// Signal sends SIGTERM, which asks for a graceful end, once: a second one would be taken for impatience. Wait for the
// end with Stop.
func (s *server) Signal() {
	s.asked.Do(func() { s.cmd.Process.Signal(syscall.SIGTERM) })
}

// Stop ends the process gracefully and waits until it is gone. It fails the test when that takes too long or the
// process does not call it a success. Stopping twice is fine.
func (s *server) Stop() {
	s.t.Helper()
	s.Signal()
	select {
	case <-s.exited:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			s.t.Errorf("%s ended with exit code %d", s.name, code)
		}
	case <-time.After(stopLimit):
		s.cmd.Process.Kill()
		s.t.Errorf("%s did not end within %s of SIGTERM", s.name, stopLimit)
	}
}

// Kill ends the process as a crash would, and waits until it is gone.
func (s *server) Kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// Exited reports whether the process is gone.
func (s *server) Exited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// Output is what the process has printed so far.
func (s *server) Output() string { return s.output.String() }

// awaitOutput waits until the process has printed text.
func (s *server) awaitOutput(text string) {
	s.t.Helper()
	limit := time.After(startLimit)
	for !strings.Contains(s.Output(), text) {
		select {
		case <-s.exited:
			s.t.Fatalf("%s ended before it printed %q:\n%s", s.name, text, s.output)
		case <-limit:
			s.t.Fatalf("%s did not print %q:\n%s", s.name, text, s.output)
		case <-time.After(pollGap):
		}
	}
}

// end is the cleanup of every server.
func (s *server) end() {
	if !s.Exited() {
		s.Stop()
	}
	if s.t.Failed() {
		s.t.Logf("%s said:\n%s", s.name, s.output)
	}
}

// output keeps what a process prints and finds the first address in it.
type output struct {
	address chan string // gets the first address

	// mu guards what follows: the process writes while a test reads.
	mu    sync.Mutex
	text  bytes.Buffer
	found bool
}

// newOutput makes an output in which nothing was found yet.
func newOutput() *output { return &output{address: make(chan string, 1)} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if !o.found {
		// Only whole lines: the address might come in two pieces.
		whole := o.text.Bytes()
		whole = whole[:bytes.LastIndexByte(whole, '\n')+1]
		if address := listening.Find(whole); address != nil {
			o.found = true
			o.address <- string(address)
		}
	}
	return len(p), nil
}

// String is everything so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
