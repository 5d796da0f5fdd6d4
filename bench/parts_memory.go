package main

import (
	"context"
	"fmt"
	"time"
)

// crowds lets clients wait at servers of their own, and leave. The gateway's stays until report.
type crowds struct{ ours *crowd }

// waitingStreams is how many clients wait.
const waitingStreams = 5000

// crowds runs the scenario, if it is wanted.
func (s *suite) crowds(ctx context.Context) (crowds, error) {
	if s.scale || !s.wants("crowds") {
		return crowds{}, nil
	}
	figures := make(map[string]spread)
	var ours *crowd
	for _, one := range s.servers[1:] {
		if one.cmd == nil {
			continue // a peer isn't ours to start
		}
		w, err := s.lab.waiting(ctx, one.name, s.servers[0], waitingStreams)
		if err != nil {
			return crowds{}, fmt.Errorf("waiting at %s: %w", one.name, err)
		}
		figures[one.name] = exactly(w.each)
		if one.name == nameOurs {
			ours = w
		} else {
			w.server.stop()
		}
	}
	s.rows = append(s.rows, row{
		target: "15", what: fmt.Sprintf("memory of a stream that waits, %d", waitingStreams), unit: "KiB",
		figure: figures, limit: 1, against: nameHeld,
	})
	return crowds{ours}, nil
}

// report says what the gateway has given back since its clients left.
func (c crowds) report(ctx context.Context, s *suite) error {
	if c.ours == nil {
		return nil
	}
	share, err := c.ours.left(ctx, time.Minute)
	if err != nil {
		return err
	}
	s.rows = append(s.rows,
		row{target: "9", what: "goroutines more than before, 1 s after all clients left, connections to upstream aside", unit: "", figure: map[string]spread{nameOurs: exactly(c.ours.after - c.ours.before)}, limit: 20},
		row{target: "9", what: "memory, 60 s after all clients left", unit: "× before", figure: map[string]spread{nameOurs: exactly(share)}, limit: 1.5})
	return nil
}

// stop ends the gateway that was left running.
func (c crowds) stop() {
	if c.ours != nil {
		c.ours.server.stop()
	}
}

// parked is about runs that wait for their client.
func (s *suite) parked(ctx context.Context) error {
	drawing := &plot{title: "Memory of a parked run", x: "parked runs", y: "KiB"}
	s.plots["parked"] = drawing
	for _, frame := range frames {
		for _, c := range []struct {
			runs int
			wait time.Duration
		}{{2000, time.Second}, {manyRuns, 10 * time.Second}} {
			p, err := s.parkedRuns(ctx, frame, c.runs, c.wait)
			if err != nil {
				return err
			}
			drawing.add(frame.String(), float64(c.runs), map[string]spread{frame.String(): exactly(p.later())})
			if c.runs == manyRuns {
				s.reportParking(frame, p)
			}
		}
	}
	return nil
}

// manyRuns is how many runs are parked at once for the targets.
const manyRuns = 10_000

// A frameSize is the largest HTTP/2 frame that the mock accepts, in bytes. net/http's client keeps a buffer as large for each
// request body, up to 512 KiB.
type frameSize int

// frames are the usual size and a large one.
var frames = []frameSize{16 << 10, 1 << 20}

// String is the size in words.
func (f frameSize) String() string { return fmt.Sprintf("frames of %d KiB", f>>10) }

// parkedRuns parks runs and resumes them, and says so.
func (s *suite) parkedRuns(ctx context.Context, frame frameSize, runs int, wait time.Duration) (parking, error) {
	what := fmt.Sprintf("%d parked runs, %s", runs, frame)
	begin := time.Now()
	p, err := s.lab.parked(ctx, int(frame), runs, wait)
	fmt.Fprintln(progress, what, time.Since(begin).Round(100*time.Millisecond))
	if err != nil {
		return p, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}

// reportParking makes the rows of targets 7 and 8.
func (s *suite) reportParking(frame frameSize, p parking) {
	ours := func(f float64) map[string]spread { return map[string]spread{nameOurs: exactly(f)} }
	at := fmt.Sprintf("%d, %s", p.runs, frame)
	s.rows = append(s.rows,
		row{target: "7", what: "memory of a parked run at once, of " + at, unit: "KiB", figure: ours(p.atOnce), limit: 32},
		row{target: "7", what: fmt.Sprintf("memory of a parked run after %v, of %s", settle+p.wait, at), unit: "KiB", figure: ours(p.later()), limit: 32},
		row{target: "8", what: "heartbeats of all parked runs, of " + at, unit: "% of a core", figure: ours(100 * p.cpu), limit: 5})
	s.notes = append(s.notes, fmt.Sprintf("All of %s parked runs went on with their own results (parked in %v, resumed in %v).", at, p.opened.Round(time.Millisecond), p.closed.Round(time.Millisecond)))
}
