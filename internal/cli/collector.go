package cli

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"composer-api/internal/agent"
)

// How often the garbage collector runs, and when memory goes back to the system. Go's own settings fit a program whose heap is
// large and steady. Ours is some megabytes for most of the time, and a prompt of one megabyte then makes a collection necessary
// for itself alone, which costs as much as decoding it.

const (
	// smallHeap is the size up to which the heap may grow without a collection, in bytes. When a half of that is live, the
	// collector runs as it does by itself, whenever the heap has doubled.
	smallHeap = 48 << 20
	// mostPercent bounds how much garbage there may be for each byte that is live, in percent: at 400 an idle server of 8 MiB
	// stays within 40.
	mostPercent = 400
	// restEvery is how often is looked whether load is over.
	restEvery = 5 * time.Second
	// restBelow is how many bytes may be allocated between two looks by a server that counts as resting. A quarter of what is
	// live counts as rest, too: parked runs have their heartbeats.
	restBelow = 4 << 20
)

// paceCollector sets how often the collector runs, after each of its runs, until the process ends: for every command, before it
// allocates much, so that a start is over before the first collection is due. A pace that the user has set with
// GOGC stays. The memory limit counts before the pace, as always.
func paceCollector() {
	if _, own := os.LookupEnv("GOGC"); own {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	was := debug.SetGCPercent(mostPercent)
	// A value that nobody refers to is found by each run of the collector; its finalizer makes it such a value again.
	var afterRun func(*[16]byte)
	afterRun = func(again *[16]byte) {
		metrics.Read(live)
		if percent := collectAt(live[0].Value.Uint64()); percent != was {
			debug.SetGCPercent(percent)
			was = percent
		}
		runtime.SetFinalizer(again, afterRun)
	}
	runtime.SetFinalizer(new([16]byte), afterRun)
}

// collectAt is the percentage of garbage at which the collector is to run, with so many bytes live.
func collectAt(live uint64) int {
	if live == 0 {
		return mostPercent
	}
	percent := (int64(smallHeap)/int64(live) - 1) * 100
	return int(min(max(percent, 100), mostPercent))
}

// giveBack gives memory back to the system when load is over, until ctx ends. Without it the heap of the busiest moment stays for
// minutes: a resting process makes no garbage, so nothing is collected.
func giveBack(ctx context.Context, log *slog.Logger) {
	defer agent.CatchPanic(func(err *agent.Error) { log.Error("giving memory back panicked", "err", err) })
	ticker := time.NewTicker(restEvery)
	defer ticker.Stop()
	var r rest
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/sched/goroutines:goroutines"}}
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(samples)
		if r.begins(samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()) {
			runtime.GC() // pools give up what they have in the second collection after its last use
			debug.FreeOSMemory()
		}
	}
}

// A rest tells from what is allocated between two looks whether the process is idle. It belongs to the goroutine of giveBack.
type rest struct {
	allocated  uint64 // in all, at the last look
	goroutines uint64 // when the rest began
	// resting says that begins has reported this rest already.
	resting bool
}

// begins reports whether a rest begins with this look: little was allocated since the last one, and much before, or more than
// half of the goroutines are gone since the rest began: streams that wait allocate nothing, and when they end, all that they
// held is garbage. It is true once for each rest.
func (r *rest) begins(allocated, live, goroutines uint64) bool {
	since := allocated - r.allocated
	r.allocated = allocated
	switch {
	case since > max(restBelow, live/4):
		r.resting = false
		return false
	case r.resting && goroutines >= r.goroutines/2:
		return false
	}
	r.resting, r.goroutines = true, goroutines
	return true
}
