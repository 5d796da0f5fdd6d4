// Package sdkbridge shows what becomes of Cursor's bridge, a child process of the gateway, when processes are killed.
package sdkbridge

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// folders are the private folders of bridges below a root.
func folders(t *testing.T, root string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "composer-api-bridge-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-limit:
			t.Fatalf("not so in time: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestAKilledGatewayLeavesNoBridge kills the gateway while a bridge runs. The kernel ends the bridge, and the next gateway
// deletes the folder with what was said.
func TestAKilledGatewayLeavesNoBridge(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent")
	}
	root, sim := t.TempDir(), harness.StartSim(t)
	first := gateway(t, sim, root)
	pid, left := pid(t, root), folders(t, root)
	first.Kill()
	eventually(t, "the bridge has ended", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/cmdline")
		return err != nil
	})
	if _, err := os.Stat(left[0]); err != nil {
		t.Fatalf("nothing is left to be swept: %v", err)
	}
	gateway(t, sim, root)
	eventually(t, "the folder of the killed one is deleted", func() bool {
		_, err := os.Stat(left[0])
		return os.IsNotExist(err)
	})
}
