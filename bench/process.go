package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A server is a running process that answers chat completions at url. The caller stops it.
type server struct {
	name string
	url  string
	pid  int // of the process whose CPU time and memory count, with its children

	// cmd is nil for a server that is not ours (a peer).
	cmd    *exec.Cmd
	stderr bytes.Buffer // what it said, for errors; complete after stop
	// ended is closed once the process is gone.
	ended chan struct{}
}

// A launch is how a server is started: a command that serves at url, given as arguments and variables beside our own.
type launch struct {
	name, url string
	ready     string // a path that is answered once the server is up
	args      []string
	env       []string
}

// startTimeout is how long a server may take to answer.
const startTimeout = 20 * time.Second

// start starts a process and waits until it answers. The process ends with ctx at the latest.
func (l launch) start(ctx context.Context) (*server, error) {
	s := &server{name: l.name, url: l.url, ended: make(chan struct{})}
	// The end of ctx kills it, whatever this process does.
	s.cmd = exec.CommandContext(ctx, l.args[0], l.args[1:]...)
	s.cmd.Env = append(os.Environ(), l.env...)
	s.cmd.Stderr = &s.stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	// One goroutine waits for its end, so everybody else can wait for ended.
	s.pid = s.cmd.Process.Pid
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	if err := s.await(ctx, l.ready); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w; it said: %s", l.name, err, bytes.TrimSpace(s.stderr.Bytes()))
	}
	return s, nil
}

// await asks for path until there is an answer, whatever its status.
func (s *server) await(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it ended")
		case <-ctx.Done():
			return fmt.Errorf("it did not answer within %v", startTimeout)
		case <-time.After(time.Millisecond):
		}
	}
}

// stop ends the process and waits for its end. One that was not started by us is left alone.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	// It has had its time. What it still does is of no interest.
	case <-time.After(2 * time.Second):
		s.cmd.Process.Kill()
		<-s.ended
	}
}

// freeAddress is an address of the loopback interface on which nobody listens. Somebody else could take it before it is used;
// then the server fails to start, and says so.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
