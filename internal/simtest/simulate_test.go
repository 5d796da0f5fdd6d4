package simtest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	seeds = flag.Int("seeds", 0, "how many seeds to simulate; 0 is as many as go test has time for")
	first = flag.Uint64("first", 1, "the first of them")
	one   = flag.Uint64("seed", 0, "the one seed to simulate, whose story is printed")
	all   = flag.Bool("all", false, "go on after a seed that fails, and print one line for each")
	small = flag.Bool("shrink", true, "shrink the plan of a seed that fails, and print it as a case")
	from  = flag.String("case", "", "a case file to simulate in place of a seed")
)

// With one processor goroutines take turns in nearly the same order each time.
func TestMain(m *testing.M) {
	flag.Parse()
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}

// simulate runs a plan in a bubble.
func simulate(t *testing.T, p *plan) (w *world, took time.Duration) {
	began := time.Now()
	defer func() {
		// What synctest says of a goroutine that is left. It stays until the process ends.
		if left := recover(); left != nil {
			stacks := make([]byte, 1<<20)
			w.laws.broken = append(w.laws.broken, fmt.Sprintf("world: %v", left))
			took = time.Since(began)
			fmt.Fprintf(os.Stderr, "%s\n", stacks[:runtime.Stack(stacks, true)])
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(p)
		w.run()
	})
	return w, time.Since(began)
}

func TestSimulate(t *testing.T) {
	if *one != 0 || *from != "" {
		p := newPlan(*one)
		if *from != "" {
			var err error
			if p, err = readCase(*from); err != nil {
				t.Fatal(err)
			}
		}
		w, took := simulate(t, p)
		fmt.Printf("%s%d broken, in %v\n", &w.story, len(w.laws.broken), took.Round(time.Millisecond))
		for _, b := range w.laws.broken {
			t.Error(b)
		}
		return
	}
	began, n := time.Now(), *seeds
	if n == 0 {
		n = 60
	}
	planned, met := coverage{}, map[string]int{}
	defer func() {
		if *seeds > 0 {
			printSituations(os.Stdout, met)
			fmt.Printf("%d seeds in %v, %d situations planned, %d met\n", n, time.Since(began).Round(time.Second), len(planned), len(met))
		}
	}()
	for i := range n {
		if *seeds == 0 && time.Since(began) > 12*time.Second {
			t.Logf("time for %d seeds", i)
			return
		}
		seed, p := planned.steer(*first + uint64(i*candidates))
		w, _ := simulate(t, p)
		for s, times := range w.situations {
			met[s] += times
		}
		if len(w.laws.broken) == 0 {
			continue
		}
		t.Errorf("seed %d (number %d): %d broken, the first: %s", seed, i+1, len(w.laws.broken), w.laws.broken[0])
		if *all {
			continue
		}
		n = i + 1
		fmt.Fprintf(os.Stderr, "the story of seed %d:\n%s", seed, &w.story)
		if *small {
			q := shrink(t, p, lawOf(w))
			w, _ := simulate(t, q)
			fmt.Fprintf(os.Stderr, "%s", formatCase(fmt.Sprintf("From seed %d: %s", seed, w.laws.broken), q, w.story.String()))
		}
		return
	}
}

// TestTheSameSeedTellsTheSameStory compares two runs of a seed, without the times. Where the simulator misbehaves, its
// delays depend on how many frames it sends, which goroutines decide that run at the same moment: docs/simulation.md.
func TestTheSameSeedTellsTheSameStory(t *testing.T) {
	for seed := range uint64(12) {
		p := newPlan(*first + seed)
		if p.Misbehaves != 0 || len(p.Operations) > 0 {
			continue
		}
		a, _ := simulate(t, p)
		b, _ := simulate(t, newPlan(*first+seed))
		if diff := cmp.Diff(withoutTimes(a), withoutTimes(b)); diff != "" {
			t.Errorf("seed %d:\n%s", *first+seed, diff)
		}
	}
}

// withoutTimes is what each of the world's people and parts told, in order.
func withoutTimes(w *world) map[string][]string {
	told := map[string][]string{}
	for _, l := range w.story.lines {
		if l.who != "upstream" { // where several speak
			told[l.who] = append(told[l.who], l.is)
		}
	}
	return told
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p, err := readCase(file)
			if err != nil {
				t.Fatal(err)
			}
			w, _ := simulate(t, p)
			for _, b := range w.laws.broken {
				t.Errorf("%s\n%s", b, &w.story)
			}
		})
	}
}
