//go:build unix && !linux

package bridgechild

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// isolate puts the child into a process group of its own. A gateway that is killed leaves the child running here; the
// next one ends it and deletes its folder, and a child whose tool callbacks fail ends its runs by itself.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// commandOf is the command line of a process; "" when there is no such process.
func commandOf(pid int) string { return ps(pid, "command=") }

// residentMemory is what of a process lies in memory, in bytes; 0 when that can't be known.
func residentMemory(pid int) int64 {
	kib, err := strconv.ParseInt(ps(pid, "rss="), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// ps is one column of what ps says about a process.
func ps(pid int, column string) string {
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-ww", "-o", column, "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// room is not asked here: there is no place in memory to choose.
func room(string) int64 { return 0 }
