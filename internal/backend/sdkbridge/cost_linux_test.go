package sdkbridge_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/localagent"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/cursor/bridgechild"
)

// TestCost measures what the real bridge costs on this machine and prints it as the tables of docs/upstreams.md. It takes
// a minute or two, so it runs only when it is asked for: make bench-bridge.
func TestCost(t *testing.T) {
	if os.Getenv("COMPOSER_BENCH_BRIDGE") == "" {
		t.Skip("it is for make bench-bridge")
	}
	c := &costs{T: t}
	c.printf("Measured on %s, against the simulator on the same machine.\n\n", machine(t))
	c.printf("| | time | memory | files |\n| --- | --- | --- | --- |\n")
	c.oneBridge()
	c.printf("\n| time to the first text, median of 100 turns | `sdkbridge` | `localagent` |\n| --- | --- | --- |\n")
	c.firstText()
	c.printf("\n| answers at once, of 2 s with 50 deltas a second each | late on one bridge, median (worst) | its thread's time for a delta | late on two bridges |\n| --- | --- | --- | --- |\n")
	c.streams()
	fmt.Print(c.out.String())
}

// machine describes the machine in a few words.
func machine(t *testing.T) string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	model := "an unknown processor"
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	release, _, _ := strings.Cut(string(kernel), "-")
	return fmt.Sprintf("a machine with %d cores (%s), Linux %s, cursor-sdk 1.1.0", runtime.NumCPU(), model, strings.TrimSpace(release))
}

// costs prints what it measures.
type costs struct {
	*testing.T
	out strings.Builder
}

func (c *costs) printf(format string, args ...any) { fmt.Fprintf(&c.out, format, args...) }

// row prints what the bridge takes at this moment, and how long something took before.
func (c *costs) row(r *rig, what string, took time.Duration) {
	c.Helper()
	var memory int64
	files := 0
	for _, pid := range bridgechild.PIDs(r.root) {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			c.Fatal(err)
		}
		files += len(open)
		memory += resident(c.T, pid)
	}
	c.printf("| %s | %s | %d MiB | %d |\n", what, short(took), memory>>20, files)
}

func resident(t *testing.T, pid int) int64 {
	t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// oneBridge shows what one bridge takes: idle, with fifty runs parked at once, and after two hundred turns in a row.
func (c *costs) oneBridge() {
	r := newRig(c.T, rigConfig{backend: sdkbridge.Config{MaxPerPool: 1, RecycleRuns: 1 << 20, RecycleMemory: 1 << 40}})
	r.play(c.T, "turn always when tools\ncall look {}\ntext hello\nturn always\ntext hello")
	began := time.Now()
	if err := r.Probe(c.Context()); err != nil {
		c.Fatal(err)
	}
	c.row(r, "a bridge has started", time.Since(began))
	plain := backendtest.Request("hi")
	plain.Tools = nil
	say := func() time.Duration {
		began := time.Now()
		run := r.start(c.T, plain)
		defer run.Close()
		collect(c.T, run)
		return time.Since(began)
	}
	c.row(r, "its first turn", say())

	const parked = 50
	type waiting struct {
		run  agent.Run
		turn backendtest.Turn
	}
	all := make(chan waiting, parked)
	began = time.Now()
	for range parked {
		go func() {
			run, err := r.Start(context.Background(), backendtest.Request("hi"))
			if err != nil {
				c.Error(err)
				all <- waiting{}
				return
			}
			turn, err := backendtest.Collect(context.Background(), run)
			if err != nil {
				c.Error(err)
			}
			all <- waiting{run, turn}
		}()
	}
	var runs []waiting
	for range parked {
		if w := <-all; w.run != nil {
			runs = append(runs, w)
		}
	}
	c.row(r, fmt.Sprintf("%d runs wait for their clients", parked), time.Since(began))
	began = time.Now()
	for _, w := range runs {
		resume(c.T, w.run, w.turn, "seen")
		collect(c.T, w.run)
		w.run.Close()
	}
	c.row(r, "they go on, one after the other", time.Since(began))
	const turns = 200
	began = time.Now()
	for range turns {
		say()
	}
	c.row(r, fmt.Sprintf("%d turns in a row", turns), time.Since(began))
}

// firstText compares how soon a client hears something.
func (c *costs) firstText() {
	r := newRig(c.T, rigConfig{})
	r.play(c.T, "turn always\ntext hello")
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	local, err := localagent.New(localagent.Config{
		Endpoint: r.url + "/agent.v1.AgentService/Run", Auth: auth.New(auth.Config{BackendBase: r.url, APIBase: r.url, HTTP: client}),
	})
	if err != nil {
		c.Fatal(err)
	}
	defer local.Close()
	const turns = 100
	measure := func(b agent.Backend) time.Duration {
		var took []time.Duration
		for i := range turns + 5 { // the first ones warm it up
			began := time.Now()
			run, err := b.Start(c.Context(), backendtest.Request("hi"))
			if err != nil {
				c.Fatal(err)
			}
			if _, err := run.Next(c.Context()); err != nil {
				c.Fatal(err)
			}
			if i >= 5 {
				took = append(took, time.Since(began))
			}
			collect(c.T, run)
			run.Close()
		}
		return median(took)
	}
	c.printf("| a new conversation, one at a time | %s | %s |\n", short(measure(r.Backend)), short(measure(local)))
}

// streams shows when one thread is not enough: by how much longer answers take that are written at the speed of a fast
// model, beside one that is alone.
func (c *costs) streams() {
	var alone time.Duration
	for _, n := range []int{1, 4, 8, 16, 32} {
		var late [2]string
		var thread time.Duration
		for bridges := 1; bridges <= 2; bridges++ {
			r := newRig(c.T, rigConfig{backend: sdkbridge.Config{MaxPerPool: bridges}})
			all, busy := c.answers(r, n, bridges)
			if n == 1 && bridges == 1 {
				alone = all[0]
			}
			late[bridges-1] = fmt.Sprintf("%s (%s)", short(max(0, median(all)-alone)), short(max(0, all[len(all)-1]-alone)))
			if bridges == 1 {
				thread = busy / time.Duration(n*deltas)
			}
		}
		if n > 1 {
			c.printf("| %d | %s | %s | %s |\n", n, late[0], short(thread), late[1])
		}
	}
}

// Each answer has so many deltas, so far apart.
const deltas, gap = 100, 20 * time.Millisecond

// answers has n answers at once, and returns how long each took, and how long processors were busy for the bridges.
func (c *costs) answers(r *rig, n, bridges int) (took []time.Duration, busy time.Duration) {
	r.play(c.T, fmt.Sprintf("turn always when prompt \"warm\"\nhold 3s\ntext hello\nturn always\nmany %d %s hello", deltas, gap))
	if bridges == 1 {
		if err := r.Probe(c.Context()); err != nil {
			c.Fatal(err)
		}
	} else { // enough runs for all bridges to be started
		var warm []agent.Run
		for range 9 {
			warm = append(warm, r.start(c.T, backendtest.Request("warm")))
		}
		eventually(c.T, "all bridges run", func() bool {
			files, _ := filepath.Glob(filepath.Join(r.root, "*", "child-*", "tmp", "cursor-sdk-bridge-*", "auth-token"))
			return len(files) == bridges
		})
		for _, run := range warm {
			run.Close()
		}
	}
	before := c.processorTime(r)
	each := make(chan time.Duration, n)
	for range n {
		go func() {
			run, err := r.Start(context.Background(), backendtest.Request("hi"))
			if err != nil {
				c.Error(err)
				each <- 0
				return
			}
			defer run.Close()
			if _, err := run.Next(context.Background()); err != nil {
				c.Error(err)
			}
			began := time.Now()
			if _, err := backendtest.Collect(context.Background(), run); err != nil {
				c.Error(err)
			}
			each <- time.Since(began)
		}()
	}
	for range n {
		took = append(took, <-each)
	}
	return took, c.processorTime(r) - before
}

// processorTime is how long processors have been busy for the bridges.
func (c *costs) processorTime(r *rig) time.Duration {
	c.Helper()
	var ticks int64
	for _, pid := range bridgechild.PIDs(r.root) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			c.Fatal(err)
		}
		// What follows the name, which may hold blanks: user and system time are the fields 14 and 15 of all.
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		for _, field := range fields[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				c.Fatal(err)
			}
			ticks += n
		}
	}
	const tick = 10 * time.Millisecond
	return time.Duration(ticks) * tick
}
