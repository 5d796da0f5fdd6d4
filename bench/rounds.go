package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// A load puts one server to work. It is run many times, and does the same each time.
type load func(ctx context.Context, t *trial) error

// A trial is one run of a load on one server. CPU time counts from begin, which is called before the load and may be called
// again by it, when what came before was preparation.
type trial struct {
	// client is a new one for each trial, so that the first request of each opens its connections.
	client *client
	server *server
	seed   int    // differs between all trials of a run, for prompts that no server has seen
	units  int    // of work that were done; set by the load
	delays delays // what the load wants a median and a 99th percentile of

	before time.Duration
}

// begin starts to count.
func (t *trial) begin() (err error) {
	t.before, err = cpuTime(t.server.pid)
	return err
}

// A sample is what one trial has measured.
type sample struct {
	cpu            float64 // of the server's process a unit of work, in microseconds
	p50, p99, most float64 // of the load's delays, in milliseconds
}

// A result is what a contest says of one server.
type result struct{ cpu, p50, p99, most spread }

// A contest runs a load on several servers in turn, so that what the machine does meanwhile hits all of them alike: the first
// round goes from the first server to the last, the second back, and so on. The first server is the baseline.
type contest struct {
	// name is for messages alone; the table has words of its own.
	name    string
	servers []*server
	rounds  int
	extra   int // rounds more for those that are thrown away
	load    load
}

// maxMove is how much the baseline's CPU time may differ from its median before a round is thrown away, and extraRounds how
// many rounds more there may be for those, as long as there is time.
const (
	maxMove     = 0.25
	extraRounds = 3
)

// run runs the rounds, after one that doesn't count. The results are by the servers' names; they are unsteady when there were not
// enough rounds with a steady baseline. An error ends it: a word that is wrong makes all figures worthless.
func (c contest) run(ctx context.Context, seed *int) (map[string]result, error) {
	fmt.Fprintf(os.Stderr, "%s ", c.name)
	defer func(begin time.Time) {
		fmt.Fprintf(os.Stderr, " %v\n", time.Since(begin).Round(100*time.Millisecond))
	}(time.Now())
	var rounds [][]sample
	// Round -1 warms caches and connections up, and is not kept.
	for i := -1; i < c.rounds+c.extra; i++ {
		round := make([]sample, len(c.servers))
		for j := range c.servers {
			// Every second round goes from the last server to the first.
			if i%2 != 0 {
				j = len(c.servers) - 1 - j
			}
			*seed++
			var err error
			if round[j], err = try(ctx, c.servers[j], c.load, *seed); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", c.name, c.servers[j].name, err)
			}
		}
		if i >= 0 {
			rounds = append(rounds, round)
		}
		fmt.Fprint(os.Stderr, ".")
		// Enough rounds with a steady baseline: the extra ones are not needed.
		if i+1 >= c.rounds && len(steady(rounds)) >= c.rounds {
			break
		}
	}
	kept := steady(rounds)
	unsteady := 2*len(kept) < c.rounds
	if unsteady {
		kept = rounds // which of them are right can't be said; the spread shows it
		fmt.Fprint(os.Stderr, " (no steady baseline)")
	} else if thrown := len(rounds) - len(kept); thrown > 0 {
		fmt.Fprintf(os.Stderr, " (%d of %d rounds thrown away)", thrown, len(rounds))
	}
	results := make(map[string]result)
	for j, s := range c.servers {
		column := func(of func(sample) float64) spread {
			var figures []float64
			for _, round := range kept {
				figures = append(figures, of(round[j]))
			}
			all := spreadOf(figures)
			all.unsteady = unsteady
			return all
		}
		results[s.name] = result{
			cpu:  column(func(s sample) float64 { return s.cpu }),
			p50:  column(func(s sample) float64 { return s.p50 }),
			p99:  column(func(s sample) float64 { return s.p99 }),
			most: column(func(s sample) float64 { return s.most }),
		}
	}
	return results, nil
}

// maxTrial bounds one trial. The longest take some seconds.
const maxTrial = time.Minute

// try runs a load once.
func try(ctx context.Context, s *server, do load, seed int) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTrial, fmt.Errorf("a trial took longer than %v", maxTrial))
	defer cancel()
	t := &trial{client: newClient(s.url), server: s, seed: seed}
	defer t.client.close()
	if err := t.begin(); err != nil {
		return sample{}, err
	}
	if err := do(ctx, t); err != nil {
		return sample{}, err
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return sample{}, err
	}
	return sample{
		// A load that sets no units is one unit.
		cpu: float64(after-t.before) / float64(time.Microsecond) / float64(max(t.units, 1)),
		p50: t.delays.at(0.5), p99: t.delays.at(0.99), most: t.delays.at(1),
	}, nil
}

// steady are the rounds in which the baseline is near its median.
func steady(rounds [][]sample) [][]sample {
	var baseline []float64
	for _, round := range rounds {
		baseline = append(baseline, round[0].cpu)
	}
	median := spreadOf(baseline).median
	return slices.DeleteFunc(slices.Clone(rounds), func(round []sample) bool {
		return math.Abs(round[0].cpu-median) > maxMove*median
	})
}

// each runs do n times, at most width at once, and returns the first error. Once there is one, no more are begun.
func each(ctx context.Context, n, width int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Both without a buffer: a worker that is busy takes nothing, so an error stops what has not begun.
	todo := make(chan int)
	done := make(chan struct{})
	for range min(n, width) {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range todo {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		}()
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case todo <- i:
		case <-ctx.Done():
		}
	}
	close(todo)
	for range min(n, width) {
		<-done
	}
	return context.Cause(ctx)
}
