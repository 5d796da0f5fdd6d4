package bridgechild

import (
	"os/exec"
	"syscall"
)

// isolate puts the child into a process group of its own, and has the kernel kill it when the thread that started it
// ends, which is when the gateway does: start keeps that thread.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// terminate asks the child to end, and kill ends it and everything that it has started.
func terminate(cmd *exec.Cmd) { _ = syscall.Kill(cmd.Process.Pid, syscall.SIGTERM) }
func kill(cmd *exec.Cmd)      { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
