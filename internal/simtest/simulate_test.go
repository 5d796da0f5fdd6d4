package simtest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds = flag.Int("seeds", 0, "how many seeds to simulate; 0 is as many as go test has time for")
	first = flag.Uint64("first", 1, "the first of them")
	one   = flag.Uint64("seed", 0, "the one seed to simulate, whose story is printed")
	from  = flag.String("case", "", "a case file to simulate in place of a seed")
)

// checkPublished is set while documents are checked against OpenAI's published document, which takes most of a seed's time.
var checkPublished = true

// simulate runs a plan in a bubble.
func simulate(t *testing.T, p *plan) (w *world, took time.Duration) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(p)
		w.run()
	})
	return w, time.Since(began)
}

func TestSimulate(t *testing.T) {
	if *one != 0 {
		w, took := simulate(t, newPlan(*one))
		fmt.Printf("%s%d broken, in %v\n", &w.story, len(w.laws.broken), took)
		for _, b := range w.laws.broken {
			t.Error(b)
		}
		return
	}
	n := *seeds
	if n == 0 {
		n = 100
	}
	for i := range n {
		seed := *first + uint64(i)
		w, _ := simulate(t, newPlan(seed))
		if len(w.laws.broken) > 0 {
			fmt.Fprintf(os.Stderr, "seed %d:\n%s", seed, &w.story)
			for _, b := range w.laws.broken {
				t.Errorf("seed %d: %s", seed, b)
			}
			return
		}
	}
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
