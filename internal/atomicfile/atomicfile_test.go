package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestAFileIsReplacedOrLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Create(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, []byte("two"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created again: %v", err)
	}
	has(t, path, "one", 0o600)
	if err := Write(path, []byte("three"), 0o644); err != nil {
		t.Fatal(err)
	}
	has(t, path, "three", 0o644)
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v", left, err)
	}
	if err := Write(filepath.Join(path, "below"), nil, 0o600); err == nil {
		t.Error("a file was written into a file")
	}
}

// has fails the test unless the file has this text, and, where modes mean something, this mode.
func has(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || string(data) != text {
		t.Errorf("it has %q, %v; want %q", data, err, text)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != mode {
		t.Errorf("its mode is %v, %v; want %v", info.Mode(), err, mode)
	}
}
