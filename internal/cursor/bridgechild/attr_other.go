//go:build !unix

package bridgechild

import "os/exec"

func isolate(*exec.Cmd) {}

// There is no polite way to end a process here.
func terminate(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
func kill(cmd *exec.Cmd)      { _ = cmd.Process.Kill() }
