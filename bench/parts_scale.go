package main

import (
	"context"
	"fmt"
	"time"
)

// The large scenarios, which take longer than all others together.

// longParked is parked, for as long as a client's tools may take.
func (s *suite) longParked(ctx context.Context) error {
	const wait = 2 * time.Minute
	drawing := &plot{title: fmt.Sprintf("Memory of a parked run of %d, while it waits", manyRuns), x: "seconds", y: "KiB"}
	s.plots["parked"] = drawing
	for _, frame := range frames {
		p, err := s.parkedRuns(ctx, frame, manyRuns, wait)
		if err != nil {
			return err
		}
		s.reportParking(frame, p)
		// At one second and not at zero: the axis is logarithmic.
		drawing.add(frame.String(), 1, map[string]spread{frame.String(): exactly(p.atOnce)})
		for i, memory := range p.meanwhile {
			at := settle + time.Duration(i+1)*wait/4
			drawing.add(frame.String(), at.Seconds(), map[string]spread{frame.String(): exactly(memory)})
		}
	}
	return nil
}

// maxStall is how long a word of a stream may take, with all streams saying theirs.
const maxStall = time.Second

// manyStreams is about what an event costs when there are many streams, and whether each gets its words in time.
func (s *suite) manyStreams(ctx context.Context) error {
	drawing := &plot{title: fmt.Sprintf("CPU an event, %d events a second in all", eventsASecond), x: "streams", y: "µs"}
	s.plots["streams"] = drawing
	servers := s.some(nameDirect, nameHeld, nameOurs)
	for _, c := range []struct {
		streams int
		long    time.Duration
	}{{500, 2 * time.Second}, {2000, 6 * time.Second}} {
		// As in events: the same number of words a second in all.
		n, every := c.streams, time.Duration(c.streams)*time.Second/eventsASecond
		what := fmt.Sprintf("%d streams, one each %v", n, every.Round(time.Millisecond))
		r, err := s.contest(ctx, what, servers, gathered(n, int(c.long/every), every))
		if err != nil {
			return err
		}
		one := row{what: "CPU an event, " + what, unit: "µs", figure: column(r, cpuOf, 1)}
		s.rows = append(s.rows, one,
			row{what: "p99 of a word's delay, " + what, unit: "ms", figure: column(r, p99Of, 1)},
			row{what: "the longest delay of a word, " + what, unit: "ms", figure: column(r, mostOf, 1), limit: milliseconds(maxStall)})
		for _, server := range servers {
			if server.name != nameDirect {
				drawing.add(server.name, float64(n), one.figure)
			}
		}
	}
	return nil
}

// longPrompts is about prompts of up to 4 MiB.
func (s *suite) longPrompts(ctx context.Context) error {
	return s.promptsOf(ctx, s.some(nameDirect, nameProxy, nameFloor, nameHeld, nameOurs), 64<<10, 256<<10, 1<<20, 4<<20)
}

// largeNeighbours is neighbours, beside what is larger.
func (s *suite) largeNeighbours(ctx context.Context) error {
	return s.besideEach(ctx, []besides{
		{"p99 of a word's delay, 100 streams", nobody},
		{"the same beside a reader that has stopped", slowReader},
		{"the same beside one prompt of 4 MiB", largePrompts(4<<20, 1)},
		{"the same beside prompts of 4 MiB, one after the other", largePrompts(4<<20, 1000)},
	})
}
