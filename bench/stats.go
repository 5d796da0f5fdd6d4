package main

import (
	"slices"
	"sync"
	"time"
)

// delays collects durations. It is safe for concurrent use.
type delays struct {
	// mu guards all, which at sorts in place.
	mu  sync.Mutex
	all []time.Duration
}

// add adds one.
func (d *delays) add(one time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, one)
}

// at is the duration below which that share of all lie, in milliseconds; 0 when there is none.
func (d *delays) at(share float64) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) == 0 {
		return 0
	}
	slices.Sort(d.all)
	return milliseconds(d.all[min(len(d.all)-1, int(share*float64(len(d.all))))])
}

// milliseconds is d as the table has it.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// A spread is what several rounds of one measurement say.
type spread struct {
	// low and high are the least and the most of the rounds that count.
	median, low, high float64
	unsteady          bool // the baseline moved too much for the figures to be relied on
}

// spreadOf is the spread of the figures; zero when there are none.
func spreadOf(figures []float64) spread {
	if len(figures) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return spread{median: (sorted[(n-1)/2] + sorted[n/2]) / 2, low: sorted[0], high: sorted[n-1]}
}

// scale changes the unit of the figures.
func (s spread) scale(factor float64) spread {
	return spread{s.median * factor, s.low * factor, s.high * factor, s.unsteady}
}

// rate is how many there are in a second if one takes that many microseconds.
func (s spread) rate() spread {
	if s.low <= 0 {
		return spread{}
	}
	// The fewest microseconds are the highest rate.
	return spread{1e6 / s.median, 1e6 / s.high, 1e6 / s.low, s.unsteady}
}
