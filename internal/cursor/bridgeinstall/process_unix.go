//go:build unix

package bridgeinstall

import (
	"os/exec"
	"syscall"
)

// endWithChildren makes the end of cmd's context end what cmd has started, too: uv runs pip.
//
// They are put into a process group of their own, which gets the signal as a whole. So Ctrl-C at
// the terminal does not reach them directly; our context does.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
