package bridgechild_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"composer-api/internal/cursor/bridgechild"
)

// probe tries what its arguments say, one attempt each, and prints how each went.
func probe(attempts []string) {
	for _, attempt := range attempts {
		verb, what, _ := strings.Cut(attempt, " ")
		var err error
		switch verb {
		case "read":
			_, err = os.ReadFile(what)
		case "write":
			err = os.WriteFile(what, []byte("x"), 0o600)
		case "run":
			err = exec.Command(what).Run()
		case "connect":
			network, address, _ := strings.Cut(what, " ")
			var conn net.Conn
			if conn, err = net.Dial(network, address); err == nil {
				conn.Close()
			}
		case "signal":
			pid, _ := strconv.Atoi(what)
			var process *os.Process
			if process, err = os.FindProcess(pid); err == nil {
				err = process.Signal(os.Interrupt)
			}
		case "capabilities":
			err = noCapabilities()
		}
		fmt.Printf("%s: %v\n", attempt, err == nil)
	}
}

// noCapabilities fails if this process has a capability, or could get one.
func noCapabilities() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		bounding := name == "CapBnd" && os.Geteuid() == 0 // for others it is of no use
		if (strings.HasPrefix(name, "Cap") && name != "CapBnd" || bounding) && strings.Trim(value, "0") != "" {
			return fmt.Errorf("%s", line)
		}
	}
	return nil
}

// TestWhatAConfinedProcessMayDo runs the same attempts with and without the confinement: the second shows that they would
// succeed, so that a refusal is the confinement's.
func TestWhatAConfinedProcessMayDo(t *testing.T) {
	if bridgechild.Confinement() == "" {
		t.Skip("this system has no confinement")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	outside, private := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(outside, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	loopback, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer loopback.Close()
	// Another program of the same user, with something in its environment.
	other := exec.CommandContext(t.Context(), "sh", "-c", "trap '' INT; echo ready; read line")
	other.Env = []string{"SECRET=x"}
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(other.Process.Pid)

	allowed := []string{
		"read /etc/hosts", "read /proc/self/status", "read /proc/" + pid + "/cmdline", "run /usr/bin/true",
		"write " + filepath.Join(private, "new"), "write /dev/null", "connect tcp " + loopback.Addr().String(),
	}
	refused := []string{
		"read " + secret, "write " + filepath.Join(outside, "new"), "read /proc/" + pid + "/environ",
		"connect unix " + socket.Addr().String(),
	}
	if os.Geteuid() == 0 {
		refused = append(refused, "read /etc/shadow")
	}
	attempts := append(append([]string{"probe"}, allowed...), refused...)

	free := run(t, append([]string{exe}, attempts...)...)
	for _, attempt := range append(allowed, refused...) {
		if !strings.Contains(free, attempt+": true\n") {
			t.Errorf("not even a free process may %s", attempt)
		}
	}
	argv := append(append([]string{exe}, attempts...), "capabilities")
	confined := run(t, bridgechild.Launcher(self(t), exe, private, argv)...)
	for _, attempt := range append(allowed, "capabilities") {
		if !strings.Contains(confined, attempt+": true\n") {
			t.Errorf("a confined process may not %s:\n%s", attempt, confined)
		}
	}
	for _, attempt := range refused {
		if !strings.Contains(confined, attempt+": false\n") {
			t.Errorf("a confined process may %s", attempt)
		}
	}
}

// run is what a command prints.
func run(t *testing.T, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = []string{"GORACE=exitcode=66"} // nothing of ours
	out, err := cmd.Output()
	if err != nil {
		var said string
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			said = string(exit.Stderr)
		}
		t.Fatalf("%v on %s: %s", err, runtime.GOOS, said)
	}
	return string(out)
}
