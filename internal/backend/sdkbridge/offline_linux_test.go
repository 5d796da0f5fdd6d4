package sdkbridge_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"composer-api/internal/backend/backendtest"
)

// offline marks the copy of this test binary that runs in a network of its own.
const offline = "COMPOSER_TEST_OFFLINE"

// TestNoNameIsLookedUp runs the bridge in a network namespace that has no way out, with a name server of ours on its
// loopback: with an address of Cursor's backend the bridge answers, and asks the name server nothing. Without one it asks,
// which shows that we would notice.
func TestNoNameIsLookedUp(t *testing.T) {
	if os.Getenv("COMPOSER_TEST_SDK_BRIDGE") == "" {
		t.Skip("COMPOSER_TEST_SDK_BRIDGE does not name a folder of Cursor's bridge; conformance/install.sh installs one")
	}
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestInANetworkOfItsOwn$", "-test.v")
	cmd.Env = append(os.Environ(), offline+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch exit := new(exec.ExitError); {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this system lets us make no namespaces: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("this system lets us make namespaces and use none:\n%s", out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestInANetworkOfItsOwn is the inner half of TestNoNameIsLookedUp.
func TestInANetworkOfItsOwn(t *testing.T) {
	if os.Getenv(offline) == "" {
		t.Skip("it is started by TestNoNameIsLookedUp")
	}
	raiseLoopback(t)
	names := serveNames(t)
	r := newRig(t, rigConfig{})
	r.play(t, "turn always\ncall look {\"path\":\"a\"}\ntext {result 1}")
	run := r.start(t, backendtest.Request("hi"))
	resume(t, run, collect(t, run), "seen")
	if turn := collect(t, run); turn.Text != "seen" {
		t.Errorf("%+v", turn)
	}
	if asked := names(); len(asked) > 0 {
		t.Errorf("names were looked up: %v", asked)
	}
	free := newRig(t, rigConfig{lost: true})
	if _, err := free.Start(t.Context(), backendtest.Request("hi")); err == nil {
		t.Error("a bridge that can't reach Cursor has started a run")
	}
	if asked := names(); len(asked) == 0 {
		t.Error("a bridge that is told no address looks up no name, so this test shows nothing")
	}
}

// allowed skips the test when err says that this namespace gives us no rights: some systems let an unprivileged user make
// namespaces, and do nothing in them.
func allowed(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// raiseLoopback sets the namespace's only interface up, which has no route but to itself.
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
	allowed(t, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request))
}

// serveNames makes this namespace ask a name server of ours, which knows nothing. The function returns the names that it
// was asked since the last time.
func serveNames(t *testing.T) (asked func() []string) {
	t.Helper()
	settings := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(settings, []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	allowed(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	allowed(t, unix.Mount(settings, "/etc/resolv.conf", "", unix.MS_BIND, ""))
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var mu sync.Mutex
	var names []string
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			mu.Lock()
			names = append(names, m.Questions[0].Name.String())
			mu.Unlock()
			m.Response, m.RCode, m.Additionals = true, dnsmessage.RCodeNameError, nil
			if answer, err := m.Pack(); err == nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		found := names
		names = nil
		return found
	}
}
