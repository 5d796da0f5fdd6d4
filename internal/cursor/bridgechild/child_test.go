package bridgechild_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/cursor/bridgechild"
	"composer-api/internal/cursor/sdkv1"
)

// TestMain lets a copy of this test binary be the launcher of confined children.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "confined" {
		if err := bridgechild.ConfinedMain(os.Args[2:]); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
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
	launcher := self(t)
	if bridgechild.Confinement() == "" {
		launcher = nil
	}
	child, err := bridgechild.Start(t.Context(), bridgechild.Config{Dir: dir, Root: root, BackendURL: "http://127.0.0.1:9", Confine: launcher}, noTools)
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if deleted, err := bridgechild.Sweep(root); deleted != 0 || err != nil {
		t.Errorf("the sweep deletes a folder in use: %d, %v", deleted, err)
	}
	if err := child.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAFolderThatNobodyOwnsIsSwept(t *testing.T) {
	root := t.TempDir()
	left := filepath.Join(root, "composer-api-bridge-123")
	foreign := filepath.Join(root, "something-else")
	for _, dir := range []string{left, foreign} {
		if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(left, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if deleted, err := bridgechild.Sweep(root); deleted != 1 || err != nil {
		t.Errorf("%d were deleted, %v", deleted, err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("somebody else's folder: %v", err)
	}
}

func TestAFolderWithoutABridgeIsAClearError(t *testing.T) {
	root := t.TempDir()
	_, err := bridgechild.Start(t.Context(), bridgechild.Config{Dir: t.TempDir(), Root: root}, noTools)
	if err == nil || !strings.Contains(err.Error(), "no bridge is installed in") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
