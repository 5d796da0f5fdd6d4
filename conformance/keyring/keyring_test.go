//go:build linux

// Package keyring lets composer-api keep a key in a real GNOME Keyring, on a session bus of its own.
package keyring

import (
	"os/exec"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// session is what happens on the bus. The keyring's password is empty; the daemon is the bus's, and ends with it.
const session = `
printf '\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
echo crsr_in_the_keyring | "$COMPOSER_API" cursor-key set &&
"$COMPOSER_API" cursor-key source &&
"$COMPOSER_API" cursor-key delete &&
! "$COMPOSER_API" cursor-key source
`

// TestTheKeyIsKeptInGNOMEKeyring is skipped where there is none, as on most servers.
func TestTheKeyIsKeptInGNOMEKeyring(t *testing.T) {
	for _, program := range []string{"dbus-run-session", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: the packages dbus-daemon and gnome-keyring have it", program)
		}
	}
	agent := harness.NewAgent(t)
	out := agent.Run("/usr/bin/env", []string{"COMPOSER_API=" + harness.Binary(t), "XDG_RUNTIME_DIR=" + agent.Work, "XDG_STATE_HOME=" + t.TempDir()},
		"dbus-run-session", "--", "sh", "-c", session)
	const want = "the key is in the system's keyring; 'composer-api serve' finds it there at its next start\nthe system's keyring\nthe key is no longer in the keyring; a gateway that runs keeps it until it ends\n"
	if out != want {
		t.Errorf("the commands print\n%swant\n%s", out, want)
	}
	if strings.Contains(out, "crsr_") {
		t.Error("the key was printed")
	}
}
