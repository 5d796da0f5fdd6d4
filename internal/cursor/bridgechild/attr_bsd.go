//go:build unix && !linux

package bridgechild

import (
	"os/exec"
	"syscall"
)

// isolate puts the child into a process group of its own. A gateway that is killed leaves the child running here; the
// next one deletes its folder, and a child whose tool callbacks fail ends its runs by itself.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate asks the child to end, and kill ends it and everything that it has started.
func terminate(cmd *exec.Cmd) { _ = syscall.Kill(cmd.Process.Pid, syscall.SIGTERM) }
func kill(cmd *exec.Cmd)      { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
