//go:build unix

package bridgechild

import (
	"os/exec"
	"syscall"
)

// nodeName is the file that runs the bridge, in its folder bin.
const nodeName = "node"

// terminate asks the child to end, and kill ends it and everything that it has started.
func terminate(cmd *exec.Cmd) { _ = syscall.Kill(cmd.Process.Pid, syscall.SIGTERM) }
func kill(cmd *exec.Cmd)      { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// raiseFileLimit lets children open as many files as the system allows; a parked run takes three, a busy bridge
// hundreds. Go raises the limit for this process alone, and gives children the old one unless the limit was set by hand.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}
