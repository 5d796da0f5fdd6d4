//go:build linux || darwin

package doctor

import "golang.org/x/sys/unix"

// FreeSpace is how many bytes this user may still write where folder is.
func FreeSpace(folder string) (bytes uint64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
