package bridgechild_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"composer-api/internal/cursor/bridgechild"
	"composer-api/internal/cursor/sdkv1"
)

// TestMain lets a copy of this test binary be the launcher of confined children, and what they become.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "confined":
			fmt.Fprintln(os.Stderr, bridgechild.ConfinedMain(os.Args[2:]))
			os.Exit(1)
		case "probe":
			probe(os.Args[2:])
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// bridge is the folder of the real bridge; the test is skipped where there is none.
func bridge(t *testing.T) string {
	dir := os.Getenv("COMPOSER_TEST_SDK_BRIDGE")
	if dir == "" {
		t.Skip("COMPOSER_TEST_SDK_BRIDGE does not name a folder of Cursor's bridge")
	}
	return dir
}

func self(t *testing.T) []string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{exe, "confined"}
}

func noTools(context.Context, sdkv1.CustomToolCall) sdkv1.ToolResult { return sdkv1.ToolError("none") }

func TestTheRealBridgeStartsAnswersAndLeavesNothing(t *testing.T) {
	root, dir := t.TempDir(), bridge(t)
	cfg := bridgechild.Config{Dir: dir, Root: root, BackendURL: "http://127.0.0.1:9"}
	if bridgechild.Confinement() != "" {
		cfg.Confine = self(t)
	}
	home, err := bridgechild.NewHome(cfg)
	if err != nil {
		t.Fatal(err)
	}
	child, err := home.Start(t.Context(), noTools)
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Client().Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "linux" && child.Memory() < 50<<20 {
		t.Errorf("it takes %d bytes", child.Memory())
	}
	if pids := bridgechild.PIDs(root); len(pids) != 1 {
		t.Errorf("process ids: %v", pids)
	} else if runtime.GOOS == "linux" {
		atItsLimit(t, pids[0])
	}
	if deleted, err := bridgechild.Sweep(root); deleted != 0 || err != nil {
		t.Errorf("the sweep deletes a folder in use: %d, %v", deleted, err)
	}
	// Somebody tidies up. Another one can be started all the same.
	if err := os.RemoveAll(home.Path()); err != nil {
		t.Fatal(err)
	}
	if next, err := home.Start(t.Context(), noTools); err != nil {
		t.Error(err)
	} else if err := next.Close(); err != nil {
		t.Error(err)
	}
	if err := child.Close(); err != nil {
		t.Error(err)
	}
	if err := home.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// atItsLimit checks that a process may open as many files as the system allows.
func atItsLimit(t *testing.T, pid int) {
	t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(rest); f[0] != f[1] {
				t.Errorf("it may open %s files, and could open %s", f[0], f[1])
			}
		}
	}
}

// leave makes a private folder as a gateway that was killed leaves it, with a bridge of the process id pid.
func leave(t *testing.T, root string, pid int) string {
	t.Helper()
	folder := filepath.Join(root, "composer-api-bridge-123")
	if err := os.MkdirAll(filepath.Join(folder, "child-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"lock": "", "child-1/pid": fmt.Sprint(pid)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestAFolderThatNobodyOwnsIsSwept(t *testing.T) {
	root := t.TempDir()
	leave(t, root, os.Getpid()) // by now another process has the id
	foreign := filepath.Join(root, "something-else")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if deleted, err := bridgechild.Sweep(root); deleted != 1 || err != nil {
		t.Errorf("%d were deleted, %v", deleted, err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("somebody else's folder: %v", err)
	}
}

// Where the system does not end a bridge with its gateway, the next gateway does.
func TestTheSweepEndsABridgeThatHasOutlivedItsGateway(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no shell")
	}
	root := t.TempDir()
	folder := filepath.Join(root, "composer-api-bridge-123")
	orphan := exec.CommandContext(t.Context(), "sh", "-c", "echo ready; read line", "--workspace", folder+"/workspace")
	stdin, err := orphan.StdinPipe() // it waits for a line that never comes
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := orphan.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	// A process that has just begun may have no command line yet, by which it is recognised.
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	leave(t, root, orphan.Process.Pid)
	if deleted, err := bridgechild.Sweep(root); deleted != 1 || err != nil {
		t.Errorf("%d were deleted, %v", deleted, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended well")
		}
	case <-time.After(10 * time.Second):
		t.Error("it still runs")
	}
}

// emptyBridge is a folder that looks like a bridge's from outside.
func emptyBridge(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"bin/node", "bin/node.exe", "dist/bin/cursor-sdk-bridge.js"} {
		path := filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Programs that tidy up delete folders in which nobody has written for days, or parts of them.
func TestAFolderThatSomebodyDeletesIsMadeAgain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open can't be deleted there")
	}
	for _, gone := range []string{".", "workspace", "home", "lock", "ca.pem"} {
		root, ca := t.TempDir(), filepath.Join(t.TempDir(), "authority")
		if err := os.WriteFile(ca, []byte("an authority"), 0o600); err != nil {
			t.Fatal(err)
		}
		home, err := bridgechild.NewHome(bridgechild.Config{Dir: emptyBridge(t), Root: root, CAFile: ca})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.RemoveAll(filepath.Join(home.Path(), gone)), home.Restore()); err != nil {
			t.Errorf("without %s: %v", gone, err)
		}
		for _, name := range []string{"workspace", "home", "lock", "ca.pem"} {
			if _, err := os.Stat(filepath.Join(home.Path(), name)); err != nil {
				t.Errorf("without %s: %v", gone, err)
			}
		}
		if deleted, err := bridgechild.Sweep(root); deleted != 0 || err != nil {
			t.Errorf("without %s: the sweep deletes a folder in use: %d, %v", gone, deleted, err)
		}
		if err := home.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Where many may write, a folder with the name of one that was deleted may be anybody's.
func TestAStrangersFolderIsNotUsed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open can't be deleted there")
	}
	for name, take := range map[string]func(path string) error{
		"a folder": func(path string) error { return os.Mkdir(path, 0o777) },
		"a link":   func(path string) error { return os.Symlink(t.TempDir(), path) },
	} {
		home, err := bridgechild.NewHome(bridgechild.Config{Dir: emptyBridge(t), Root: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.RemoveAll(home.Path()), take(home.Path())); err != nil {
			t.Fatal(err)
		}
		if err := home.Restore(); err == nil || !strings.Contains(err.Error(), "taken its place") {
			t.Errorf("%s: %v", name, err)
		}
		if err := home.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAFolderWithoutABridgeIsAClearError(t *testing.T) {
	root := t.TempDir()
	_, err := bridgechild.NewHome(bridgechild.Config{Dir: t.TempDir(), Root: root})
	if err == nil || !strings.Contains(err.Error(), "no bridge is installed in") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
