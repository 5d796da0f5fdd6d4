//go:build !unix

package bridgeinstall

import "os/exec"

// endWithChildren does nothing here: the context ends cmd alone.
func endWithChildren(*exec.Cmd) {}
