package cli

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"composer-api/internal/gateway/pdftext"
)

// memoryShare is how much of the container's memory the Go heap may fill before the garbage collector works harder. The
// rest is for what the runtime does not count: SQLite's pages, the kernel's socket buffers, and Cursor's bridge, if the
// container is a small one.
const memoryShare = 0.8

// limitMemory tells the runtime how much memory the container (a cgroup, of version 1 or 2) allows, as read by from.
// Without it the heap grows to twice what is live before anything is collected, and the kernel kills the process. A limit
// that the user has set with GOMEMLIMIT stays.
//
// The limit is the process's, not the gateway's: it outlives the command.
//
// from is memlimit.FromCgroup, and in tests a function that gives a number of bytes. Nothing here
// fails: without a limit the server works as every Go program does.
func limitMemory(from memlimit.Provider, log *slog.Logger) {
	if own, ok := os.LookupEnv("GOMEMLIMIT"); ok {
		log.Info("the memory limit is the user's", "GOMEMLIMIT", own)
		return
	}
	container, err := from()
	// No container, or one without a limit.
	if errors.Is(err, memlimit.ErrNoLimit) || err == nil && container == 0 {
		return
	}
	if err != nil {
		log.Debug("no memory limit of a container", "err", err)
		return
	}
	limit := int64(float64(container) * memoryShare)
	debug.SetMemoryLimit(limit)
	log.Info("the memory limit is the container's", "container_mb", container>>20, "heap_mb", limit>>20)
}

// remembered is how many bytes each of the large things that are remembered may take: the conversations, the runs that wait
// for tool results, and the events of background responses. It is an eighth of the memory limit, and 256 MiB where there is
// no limit or a large one.
//
// Each of the three gets so much for itself, so together they take three eighths at most.
func remembered() int { return int(share(8, 256<<20)) }

// sentShare is the part of the memory for conversations, a quarter, in which the surfaces keep what clients have sent, so that it
// isn't decoded again.
const sentShare = 4

// imageMemory is how many bytes the images may take that are being made smaller: half of the memory limit, and what the
// largest that are allowed take. They take it for a second or two.
//
// 800 MiB are what the largest image takes while it is decoded and scaled; see package imagefetch.
func imageMemory() int64 { return share(2, 800<<20) }

// pdfMemory is how many bytes the reading of a PDF file may take, of which one is read at a time: three quarters of the memory limit.
// Where that is too little for any file, it is the least that one takes, if there is so much at all.
func pdfMemory() int64 {
	return max(share(4, math.MaxInt64)*3, share(1, pdftext.LeastMemory))
}

// bodyMemory is how many bytes of requests may be read and decoded at once: what the user says, in MiB, or an eighth of the
// memory limit. Decoded they take some three times as much.
//
// With an eighth of the limit read and three times that decoded, bodies take half of it at the very
// most.
func bodyMemory(mib int) int64 {
	if mib > 0 {
		return int64(mib) << 20
	}
	return share(8, 256<<20)
}

// share is the memory limit divided by parts, or most where that is less. Without a limit of its own Go says MaxInt64, so most
// counts then.
func share(parts, most int64) int64 {
	// Called after limitMemory, in the order of serveCmd.Run: before, it would see no limit.
	limit := debug.SetMemoryLimit(-1) // a negative limit only asks
	return min(most, limit/parts)
}
