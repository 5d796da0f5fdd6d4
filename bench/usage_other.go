//go:build !linux

package main

import (
	"errors"
	"time"
)

// errLinuxOnly is why the bench measures on Linux alone.
var errLinuxOnly = errors.New("the bench reads the CPU time of other processes, which it can on Linux only")

// cpuTime and residentMemory fail, so the bench ends with a sentence and not in the middle.
func cpuTime(int) (time.Duration, error) { return 0, errLinuxOnly }

func residentMemory(int) (int64, error) { return 0, errLinuxOnly }
