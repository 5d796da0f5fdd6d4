//go:build unix

package bridgechild

import (
	"os"
	"syscall"
)

// tryLock locks a file for this process until it is closed. It fails when another process, or another open file of this
// one, has locked it.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
