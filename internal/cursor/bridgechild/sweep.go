package bridgechild

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// enoughRoom is what must be free in a place in memory for private folders to be made there, in bytes. An agent takes up
// to 0.2 MB, and its images; containers often have 64 MB of shared memory.
// A folder on disk is slower and outlives a power cut, but it works; one in memory that is full
// makes every run fail.
const enoughRoom = 256 << 20

// DefaultRoot is where private folders are made: in memory where there is such a place with enough room, because they hold
// prompts.
func DefaultRoot() string {
	if runtime.GOOS == "linux" {
		for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
			if dir != "" && writable(dir) && room(dir) >= enoughRoom {
				return dir
			}
		}
	}
	return os.TempDir()
}

// writable reports whether a folder can be made in dir.
func writable(dir string) bool {
	// Permissions alone don't tell: the file system may be mounted read-only. A probe that is left
	// behind has no lock, and is nobody's.
	probe, err := os.MkdirTemp(dir, prefix+"probe-")
	if err != nil {
		return false
	}
	return os.Remove(probe) == nil
}

// Sweep deletes the private folders in root that no living gateway owns, and returns how many it has deleted. It ends the
// bridges that still run in them: outside of Linux they outlive a gateway that is killed. It may run beside other
// gateways, which keep theirs.
//
// Errors are collected: one folder that can't be deleted keeps no other from being.
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
		// The lock is held until the bridges in the folder are ended: another gateway that sweeps
		// at the same time passes the folder over.
		lock, ok := abandoned(path)
		if !ok {
			continue
		}
		for _, pid := range pids(path) {
			endOrphan(pid, path)
		}
		// On Windows an open file can't be deleted.
		if err := errors.Join(lock.Close(), os.RemoveAll(path)); err != nil {
			errs = append(errs, err)
			continue
		}
		deleted++
	}
	return deleted, errors.Join(errs...)
}

// abandoned locks a folder that nobody owns; ok is false when somebody does, or it is being
// made and has no lock yet. Another user's folder counts as owned. The caller closes the lock,
// before it deletes the folder.
func abandoned(path string) (lock *flock.Flock, ok bool) {
	name := filepath.Join(path, lockName)
	// flock.New would make the file otherwise, and take a folder from whoever is making it.
	if _, err := os.Stat(name); err != nil {
		return nil, false
	}
	lock = flock.New(name, flock.SetFlag(os.O_RDWR))
	if locked, err := lock.TryLock(); err != nil || !locked {
		lock.Close()
		return nil, false
	}
	return lock, true
}

// endOrphan ends the bridge with a process id if it is the one that runs in folder. The id may long be another process's,
// so its command line is looked at, which names the folder.
func endOrphan(pid int, folder string) {
	if !strings.Contains(commandOf(pid), folder+string(filepath.Separator)) {
		return
	}
	if process, err := os.FindProcess(pid); err == nil {
		_ = process.Kill() // it may have ended meanwhile
	}
}

// PIDs are the process ids of the bridges whose private folders lie in root.
func PIDs(root string) []int {
	folders, _ := filepath.Glob(filepath.Join(root, prefix+"*"))
	var all []int
	for _, folder := range folders {
		all = append(all, pids(folder)...)
	}
	return all
}

// pids are the process ids of the bridges in a private folder.
func pids(folder string) []int {
	files, _ := filepath.Glob(filepath.Join(folder, childPrefix+"*", pidName))
	var found []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		// A file that is being written may be empty; its bridge is found by the next sweep.
		if pid, bad := strconv.Atoi(string(text)); err == nil && bad == nil {
			found = append(found, pid)
		}
	}
	return found
}
