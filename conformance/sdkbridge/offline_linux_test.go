package sdkbridge

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"composer-api/conformance/harness"
)

// offline marks the copy of this test binary that runs in a network of its own.
const offline = "COMPOSER_TEST_OFFLINE"

// TestNothingOutsideIsNeeded runs gateway, bridge and simulator in a network namespace that has a loopback and no route:
// whatever wanted an address elsewhere would fail there. That no name is looked up is shown by backend/sdkbridge.
func TestNothingOutsideIsNeeded(t *testing.T) {
	harness.Bridge(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestInANetworkOfItsOwn$", "-test.v")
	cmd.Env = append(os.Environ(), offline+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch exit := new(exec.ExitError); {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this system lets us make no network namespace: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("this system lets us make a network namespace and use none:\n%s", out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestInANetworkOfItsOwn is the inner half of TestNothingOutsideIsNeeded.
func TestInANetworkOfItsOwn(t *testing.T) {
	if os.Getenv(offline) == "" {
		t.Skip("it is started by TestNothingOutsideIsNeeded")
	}
	raiseLoopback(t)
	sim := harness.StartSim(t)
	sim.Play("turn always\ntext hello")
	g := gateway(t, sim, t.TempDir())
	resp := ask(t, g, "hi")
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), "hello") || !strings.Contains(string(text), "[DONE]") {
		t.Errorf("%s, %v: %s", resp.Status, err, text)
	}
	if upstream := resp.Header.Get("x-composer-upstream"); upstream != "sdkbridge" {
		t.Errorf("it came by %s", upstream)
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
