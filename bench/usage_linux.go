package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time that a process and its children have used, user and system together. It is the sum that
// /proc/PID/stat shows in hundredths of a second, read from the kernel's clock of the process, in nanoseconds.
func cpuTime(pid int) (time.Duration, error) {
	// The clock's number is made as by clock_getcpuclockid(3): the complement of the process's number, and 2 for
	// CPUCLOCK_SCHED.
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &t); err != nil {
		return 0, fmt.Errorf("the CPU time of process %d: %w", pid, err)
	}
	sum := time.Duration(t.Nano())
	for _, child := range children(pid) {
		used, err := cpuTime(child)
		if err != nil {
			continue // it has ended meanwhile
		}
		sum += used
	}
	return sum, nil
}

// residentMemory is how many bytes of memory a process and its children have.
func residentMemory(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(data) // in pages: the whole address space, what is resident, …
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm is not what it was", pid)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	sum := pages * int64(os.Getpagesize())
	for _, child := range children(pid) {
		n, _ := residentMemory(child)
		sum += n
	}
	return sum, err
}

// children are the processes that a process has started. Each thread has a list of its own; one that started children is
// mostly the first.
func children(pid int) []int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range bytes.Fields(data) {
		if child, err := strconv.Atoi(string(field)); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}
