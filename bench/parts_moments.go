package main

import (
	"context"
	"fmt"
	"time"
)

// moments is about a start, and about clients that leave.
func (s *suite) moments(ctx context.Context) error {
	ours := func(f spread) map[string]spread { return map[string]spread{nameOurs: f} }
	figures := make(map[string]spread)
	for _, one := range s.some(nameFloor, nameHeld, nameOurs) {
		// s.servers[0] is the mock, which knows when it was left.
		resets, err := leaving(ctx, one, s.servers[0], 300)
		if err != nil {
			return fmt.Errorf("leaving %s: %w", one.name, err)
		}
		figures[one.name] = exactly(resets.at(0.99))
		if one.name == nameOurs {
			s.notes = append(s.notes, fmt.Sprintf("From a client's leaving to the reset of its stream, of 300: p10 %s ms, p50 %s ms, p90 %s ms, p99 %s ms, most %s ms.",
				number(resets.at(0.1)), number(resets.at(0.5)), number(resets.at(0.9)), number(resets.at(0.99)), number(resets.at(1))))
		}
	}
	s.rows = append(s.rows, row{target: "10", what: "client gone → upstream reset, p99", unit: "ms", figure: figures, limit: 50})
	b, err := s.lab.cold(ctx, s.servers[0], 5)
	if err != nil {
		return err
	}
	s.rows = append(s.rows,
		row{target: "11", what: "from the start to the first answer, with a fresh database", unit: "ms", figure: ours(b.start), limit: 30},
		row{target: "11", what: "stripped binary", unit: "MB", figure: ours(exactly(b.binary)), limit: 25},
		row{target: "11", what: "idle memory", unit: "MiB", figure: ours(exactly(b.idle)), limit: 25})
	return nil
}

// neighbours is about streams beside something slow or large.
func (s *suite) neighbours(ctx context.Context) error {
	return s.besideEach(ctx, []besides{
		{"p99 of a word's delay, 100 streams", nobody},
		{"the same beside a reader that has stopped", slowReader},
		{"the same beside prompts of 1 MiB, one after the other", largePrompts(1<<20, 1000)},
	})
}

// A besides is a neighbour, and what is said of the streams beside it.
type besides struct {
	// what is the words of the table's row.
	what      string
	neighbour neighbour
}

// besideEach measures 100 streams beside each of the neighbours, of which the first is nobody.
func (s *suite) besideEach(ctx context.Context, all []besides) error {
	const streams, words, every = 100, 60, 20 * time.Millisecond
	servers := s.some(nameDirect, nameHeld, nameOurs)
	var alone map[string]spread
	for _, n := range all {
		r, err := s.contest(ctx, n.what, servers, beside(streams, words, every, n.neighbour))
		if err != nil {
			return err
		}
		figures := column(r, p99Of, 1)
		one := row{target: "13", what: n.what, unit: "ms", figure: figures}
		if alone == nil {
			alone = figures
		} else {
			// Not the baseline's figure but the gateway's own, without a neighbour.
			one.limit = 2 * alone[nameOurs].median
		}
		s.rows = append(s.rows, one)
	}
	return nil
}
