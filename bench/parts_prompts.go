package main

import (
	"context"
	"fmt"
)

// prompts is about what a long prompt costs: as the first of a conversation, with the result of a tool, and with the user's next
// message.
func (s *suite) prompts(ctx context.Context) error {
	if err := s.promptsOf(ctx, s.servers, 64<<10, 256<<10, 1<<20); err != nil {
		return err
	}
	const size = 1 << 20
	for _, c := range []struct {
		target, what string
		servers      []*server
		load         load
		limit        float64
	}{
		{"6", "CPU of a prompt of 1 MiB with 40 tools", s.servers, prompts(8, size, agentTools), 0},
		{"14", "CPU of a tool's result behind 1 MiB, 40 tools", s.some(nameOurs), resumes(8, size), 5},
		{"", "CPU of the user's next message behind 1 MiB, 40 tools", s.some(nameDirect, nameFloor, nameHeld, nameOurs), followUps(8, size), 0},
	} {
		r, err := s.contest(ctx, c.what, c.servers, c.load)
		if err != nil {
			return err
		}
		s.rows = append(s.rows, row{target: c.target, what: c.what, unit: "ms", figure: column(r, cpuOf, 1e-3), limit: c.limit})
	}
	return nil
}

// promptsOf measures first prompts of growing size, and whether what they cost grows as they do.
func (s *suite) promptsOf(ctx context.Context, servers []*server, sizes ...int) error {
	drawing := &plot{title: "CPU of a prompt of 200 messages", x: "KiB", y: "ms"}
	s.plots["prompts"] = drawing
	perByte := make(map[int]float64)
	for _, size := range sizes {
		// About 8 MiB in each trial, whatever the size of a prompt.
		r, err := s.contest(ctx, fmt.Sprintf("prompts of %d KiB", size>>10), servers, prompts(max(2, 8<<20/size), size, 0))
		if err != nil {
			return err
		}
		one := row{what: fmt.Sprintf("CPU of a prompt of %d KiB in 200 messages", size>>10), unit: "ms", figure: column(r, cpuOf, 1e-3)}
		if size == 1<<20 {
			one.target, one.limit = "6", 4
		}
		s.rows = append(s.rows, one)
		if size == 1<<20 {
			// The floor reads and writes the same bytes, so the difference is what the gateway adds.
			more := one.figure[nameOurs].median - one.figure[nameHeld].median
			s.rows = append(s.rows, row{
				target: "6", what: "the same, beyond what the floor takes", unit: "ms", limit: 4,
				figure: map[string]spread{nameOurs: exactly(more)},
			})
		}
		perByte[size] = one.figure[nameOurs].median / float64(size)
		for _, server := range servers {
			if server.name != nameDirect {
				drawing.add(server.name, float64(size>>10), one.figure)
			}
		}
	}
	last := sizes[len(sizes)-1]
	s.rows = append(s.rows, row{
		target: "6", what: fmt.Sprintf("CPU a byte of a prompt of %d KiB, against 256 KiB", last>>10), unit: "×", limit: 1.2,
		figure: map[string]spread{nameOurs: exactly(perByte[last] / perByte[256<<10])},
	})
	return nil
}

// exactly is a figure without a spread.
func exactly(f float64) spread { return spread{median: f, low: f, high: f} }
