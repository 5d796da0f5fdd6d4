package main

import (
	"context"
	"fmt"
	"time"
)

// words is about when a client gets its first word, and its headers.
func (s *suite) words(ctx context.Context) error {
	first, err := s.contest(ctx, "first word", s.servers, firstWords(150))
	if err != nil {
		return err
	}
	// What the mock and the client take is in every figure, and in that of direct alone.
	added := make(map[string]spread)
	direct := first[nameDirect].p50.median
	for name, r := range first {
		if name != nameDirect {
			added[name] = spread{r.p50.median - direct, r.p50.low - direct, r.p50.high - direct, r.p50.unsteady}
		}
	}
	s.rows = append(s.rows,
		row{target: "1", what: "added time to the first word, p50, one client", unit: "ms", figure: added, limit: 1.15, against: nameHeld},
		row{what: "CPU of a request with 8 words", unit: "µs", figure: column(first, cpuOf, 1)})
	for _, silent := range []time.Duration{0, 400 * time.Millisecond} {
		// Few at once, so that what is measured is the waiting and not the queue for two cores.
		r, err := s.contest(ctx, fmt.Sprintf("headers, silent for %v", silent), s.some(nameDirect, nameHeld, nameOurs), headers(4, silent))
		if err != nil {
			return err
		}
		one := row{target: "2", what: "headers, p50; the first word comes at once", unit: "ms", figure: column(r, p50Of, 1), limit: 2}
		if silent > 0 {
			one.what, one.limit = fmt.Sprintf("headers, p50; the first word comes after %v", silent), 105
		}
		s.rows = append(s.rows, one)
	}
	return nil
}

// eventsASecond is how many words all paced streams together say in a second, however many they are.
const eventsASecond = 15_000

// events is about what an event costs.
func (s *suite) events(ctx context.Context) error {
	// The same number of events for each number of streams, so that only the streams differ.
	drawing := &plot{title: "CPU an event, 15,000 events a second in all", x: "streams", y: "µs"}
	s.plots["events"] = drawing
	for _, n := range []int{30, 300} {
		// The more streams, the slower each of them.
		every := time.Duration(n) * time.Second / eventsASecond
		r, err := s.contest(ctx, fmt.Sprintf("paced, %d streams", n), s.servers, paced(n, int(1200*time.Millisecond/every), every))
		if err != nil {
			return err
		}
		one := row{what: fmt.Sprintf("CPU an event, %d streams, one each %v", n, every.Round(time.Millisecond)), unit: "µs", figure: column(r, cpuOf, 1)}
		if n == 300 {
			one.target, one.limit, one.against = "3", 1.1, nameHeld
		}
		s.rows = append(s.rows, one)
		for _, name := range s.names() {
			if name != nameDirect {
				drawing.add(name, float64(n), one.figure)
			}
		}
	}
	for _, b := range []struct {
		what                 string
		streams, words, each int
		limit                float64
	}{
		{"events a second and core, each in a write of its own", 4, 10_000, 1, 200_000},
		{"events a second and core, ten in a write", 4, 10_000, 10, 200_000},
		{"events a second and core, answers of 50 events", 400, 50, 10, 0},
	} {
		r, err := s.contest(ctx, b.what, s.servers, bursts(b.streams, 4, b.words, b.each))
		if err != nil {
			return err
		}
		figures := make(map[string]spread)
		for name, one := range r {
			figures[name] = one.cpu.rate()
		}
		s.rows = append(s.rows, row{target: "4", what: b.what, unit: "1/s", figure: figures, limit: b.limit, atLeast: true})
	}
	// 400 answers of 64 frames, four at a time.
	r, err := s.contest(ctx, "not streamed", s.servers, wholes(400, 4, 64))
	if err != nil {
		return err
	}
	figures := make(map[string]spread)
	for name, one := range r {
		figures[name] = one.cpu.rate()
	}
	s.rows = append(s.rows, row{
		target: "5", what: "answers that aren't streamed a second and core, 64 frames", unit: "1/s",
		figure: figures, limit: 0.85, atLeast: true, against: nameFloor,
	})
	return s.surfaces(ctx)
}

// surfaces compares the public APIs with each other. Their figures are all the gateway's, so each is set against that of chat.
func (s *suite) surfaces(ctx context.Context) error {
	const streams, words, every = 100, 60, 20 * time.Millisecond
	// The first API that is measured is what the others are held against.
	chatting := ""
	base := spread{}
	for _, api := range []struct {
		name string
		make func(p plan, stream bool) request
	}{{"chat", short}, {"Responses", responses}, {"Messages", messages}} {
		r, err := s.contest(ctx, "paced, "+api.name, s.some(nameOurs), pacedOn(api.make, streams, words, every))
		if err != nil {
			return err
		}
		one := row{what: "CPU an event of " + api.name + ", 100 streams", unit: "µs", figure: map[string]spread{nameOurs: r[nameOurs].cpu}}
		if chatting == "" {
			chatting, base = "chat", r[nameOurs].cpu
		} else {
			one.target, one.limit, one.against = "16", 1.1, chatting
			one.figure[chatting] = base
		}
		s.rows = append(s.rows, one)
	}
	return nil
}
