//go:build unix

package harness

import (
	"os/exec"
	"syscall"
)

// endWithChildren makes the end of cmd's context end the children of cmd, too.
func endWithChildren(cmd *exec.Cmd) {
	// A group of its own: a negative number ends all of it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
