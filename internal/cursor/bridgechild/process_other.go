//go:build !unix

package bridgechild

import "os/exec"

const nodeName = "node.exe"

func isolate(*exec.Cmd) {}

// There is no polite way to end a process here.
func terminate(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
func kill(cmd *exec.Cmd)      { _ = cmd.Process.Kill() }

func raiseFileLimit() {}

// What is not known here.
func commandOf(int) string     { return "" }
func residentMemory(int) int64 { return 0 }
func room(string) int64        { return 0 }
