//go:build !unix

package bridgechild

import "os/exec"

// nodeName is the file that runs the bridge, in its folder bin.
const nodeName = "node.exe"

// isolate does nothing here.
func isolate(*exec.Cmd) {}

// There is no polite way to end a process here.
func terminate(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
func kill(cmd *exec.Cmd)      { _ = cmd.Process.Kill() }

// raiseFileLimit does nothing here: there is no such limit.
func raiseFileLimit() {}

// What is not known here.
func commandOf(int) string     { return "" }
func residentMemory(int) int64 { return 0 }
func room(string) int64        { return 0 }
