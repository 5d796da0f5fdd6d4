//go:build !unix

package bridgeinstall

import "os/exec"

// endWithChildren does nothing here: the context ends cmd alone.
//
// On Windows a pip that uv has started may so live on for a moment; it ends when it can't write to
// its pipe any more.
func endWithChildren(*exec.Cmd) {}
