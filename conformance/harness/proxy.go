package harness

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Programs that stand before gateways: proxies and load balancers.

// Program is the path of a program; the test is skipped where it isn't installed. Debian keeps some out of the PATH of users.
func Program(t testing.TB, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if program, err := exec.LookPath(candidate); err == nil {
			return program
		}
	}
	t.Skipf("no %s is installed; hint: scripts/deployment.sh", name)
	return ""
}

// FreeAddress is an address of the loopback that nobody listens on now. Somebody else may take it first.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A Proxy is a program that stands before gateways.
type Proxy struct {
	Name string // of the program
	// Config makes its configuration: to listen at an address, and to keep what it writes in a folder.
	Config func(listen, folder string) string
	// Args run it in the foreground, with the file of its configuration.
	Args func(config, folder string) []string
	// Ready is a path that answers 200 once it is ready.
	Ready string
}

// Start runs the proxy on a free port and returns its URL. It is stopped at the end of the test, which is skipped where the
// program isn't installed.
func (p *Proxy) Start(t testing.TB) (url string) {
	t.Helper()
	program, folder := Program(t, p.Name), t.TempDir()
	const tries = 5 // somebody else may take the port first
	for try := 1; ; try++ {
		listen, config := FreeAddress(t), filepath.Join(folder, "config")
		text := p.Config(listen, folder)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, p.Args(config, folder)...)
		log, err := os.Create(filepath.Join(folder, "log"))
		if err != nil {
			t.Fatal(err)
		}
		cmd.Dir, cmd.Stdout, cmd.Stderr = folder, log, log
		cmd.Env = []string{"HOME=" + folder, "PATH=" + os.Getenv("PATH")}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Closed when the process is gone, whoever has ended it.
		exited := make(chan struct{})
		go func() {
			cmd.Wait()
			close(exited)
		}()
		stop := func() {
			cmd.Process.Signal(os.Interrupt)
			select {
			case <-exited:
			case <-time.After(10 * time.Second):
				cmd.Process.Kill()
				<-exited
			}
			log.Close()
		}
		if answers("http://"+listen+p.Ready, exited) {
			t.Cleanup(func() {
				stop()
				if t.Failed() {
					said, _ := os.ReadFile(log.Name())
					t.Logf("%s said:\n%s", p.Name, said)
				}
			})
			return "http://" + listen
		}
		stop()
		if said, _ := os.ReadFile(log.Name()); try == tries {
			t.Fatalf("%s does not start:\n%s\nwith\n%s", p.Name, said, text)
		}
	}
}

// answers asks until the answer is 200, the process has exited, or half a minute is over.
func answers(url string, exited <-chan struct{}) bool {
	limit := time.After(30 * time.Second)
	for {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-exited:
			return false
		case <-limit:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}
