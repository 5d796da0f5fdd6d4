package bridgechild

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// prefix begins the names of the private folders.
const prefix = "composer-api-bridge-"

// lockName is a file in a private folder that its gateway holds locked for as long as it lives, so that the sweep can
// tell a folder in use from one that a crash has left.
const lockName = "lock"

// pidName is a file with the process id of the bridge, for whoever asks what runs.
const pidName = "pid"

// A folder is the private folder of one child.
type folder struct {
	path string
	lock *os.File
}

func (f *folder) home() string      { return filepath.Join(f.path, "home") }
func (f *folder) temp() string      { return filepath.Join(f.path, "tmp") }
func (f *folder) workspace() string { return filepath.Join(f.path, "workspace") }

// DefaultRoot is where private folders are made: in memory where there is such a place, because they hold prompts.
func DefaultRoot() string {
	if runtime.GOOS == "linux" {
		for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
			if dir != "" && writable(dir) {
				return dir
			}
		}
	}
	return os.TempDir()
}

// writable reports whether a folder can be made in dir.
func writable(dir string) bool {
	probe, err := os.MkdirTemp(dir, prefix+"probe-")
	if err != nil {
		return false
	}
	return os.Remove(probe) == nil
}

// newFolder makes a private folder in root. The caller removes it.
func newFolder(root string) (*folder, error) {
	path, err := os.MkdirTemp(root, prefix) // mode 0700
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	for _, dir := range []string{f.home(), f.temp(), f.workspace()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, errors.Join(err, os.RemoveAll(path))
		}
	}
	if f.lock, err = os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	if err := tryLock(f.lock); err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return f, nil
}

// remove deletes the folder with everything in it.
func (f *folder) remove() error {
	f.lock.Close()
	return os.RemoveAll(f.path)
}

// Sweep deletes the private folders in root that no living gateway owns, and returns how many it has deleted. It may
// run beside other gateways, which keep theirs.
func Sweep(root string) (deleted int, err error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), prefix) {
			continue
		}
		path := filepath.Join(root, entry.Name())
		if inUse(path) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			errs = append(errs, err)
			continue
		}
		deleted++
	}
	return deleted, errors.Join(errs...)
}

// inUse reports whether somebody holds the folder's lock, or the folder is being made and has none yet. Another user's
// folder counts as in use.
func inUse(path string) bool {
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR, 0)
	if err != nil {
		return true
	}
	defer lock.Close()
	return tryLock(lock) != nil
}

// PIDs are the process ids of the bridges whose private folders lie in root.
func PIDs(root string) []int {
	files, _ := filepath.Glob(filepath.Join(root, prefix+"*", pidName))
	var pids []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if pid, bad := strconv.Atoi(string(text)); err == nil && bad == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
