package bridgechild

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolate puts the child into a process group of its own, and has the kernel kill it when the thread that started it
// ends, which is when the gateway does: launch keeps that thread.
func isolate(cmd *exec.Cmd) {
	// The group is what Close kills in the end: what node has started itself would be left over
	// otherwise.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// commandOf is the command line of a process; "" when there is no such process.
func commandOf(pid int) string {
	// Its words are separated by zero bytes. Another user's process can be read, too; that does no
	// harm, because the caller only compares.
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	return string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
}

// residentMemory is what of a process lies in memory, in bytes; 0 when that can't be known. It
// is the second number of statm, in pages. Source: proc(5).
func residentMemory(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), " ")
	pages, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(pages, 10, 64)
	if err != nil {
		return 0
	}
	return n * int64(os.Getpagesize())
}

// room is how much is free in the file system of dir, in bytes; 0 when that can't be known.
func room(dir string) int64 {
	var stat unix.Statfs_t
	if unix.Statfs(dir, &stat) != nil {
		return 0
	}
	// Bavail and not Bfree: what is reserved for root can't be used.
	return int64(stat.Bavail) * stat.Bsize
}
