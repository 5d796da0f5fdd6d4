package harness

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// offlineVariable marks the copy of a test binary that runs in a network of its own.
const offlineVariable = "COMPOSER_TEST_OFFLINE"

// Offline runs test in a network namespace that has a loopback and no route, with all the processes that it starts: who
// wants an address elsewhere gets none. It does so by running this very test once more, in a process of its own, which is
// why test must not be called in a second subtest of the same name. The test is skipped where the system gives us no
// namespace.
func Offline(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if os.Getenv(offlineVariable) == t.Name() {
		raiseLoopback(t)
		test(t)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	// The pattern names this test alone, each part of its name whole.
	cmd := exec.CommandContext(t.Context(), exe, "-test.v", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), offlineVariable+"="+t.Name(), BinaryVariable+"="+binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		// Only root may make a network namespace; in a user namespace of our own we are root.
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch exit := new(exec.ExitError); {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this system lets us make no network namespace: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	// Exit code 0 may also mean that nothing was run.
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in a network of its own it is skipped:\n%s", out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Fatalf("the copy of this test binary did not run the test:\n%s", out)
	}
}

// raiseLoopback sets the namespace's only interface up, which has no route but to itself. It skips the test where that is
// not allowed: some systems give a namespace of an unprivileged user no rights.
func raiseLoopback(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_UP)
	err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("the loopback can't be set up: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
