package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// The scenarios about memory: runs that wait for their client, streams that wait for their model, and what is left afterwards.

// settle is how long a server may tidy up after a rush before its CPU time counts as that of waiting.
const settle = 8 * time.Second

// A parking is what many parked runs cost.
type parking struct {
	// runs is how many were parked at once.
	runs      int
	wait      time.Duration // after settle
	atOnce    float64       // KiB of resident memory a run, when all are parked
	meanwhile []float64     // the same at each quarter of wait
	cpu       float64       // share of a core that the heartbeats take
	// opened is how long it took to park them all, closed to resume them.
	opened, closed time.Duration
}

// later is the memory of a run when wait was over, in KiB.
func (p *parking) later() float64 { return p.meanwhile[len(p.meanwhile)-1] }

// parked parks runs, lets them wait, and resumes every one of them with its own result.
func (l *lab) parked(ctx context.Context, frame, runs int, wait time.Duration) (p parking, err error) {
	upstream, err := l.mock(ctx, frame)
	if err != nil {
		return p, err
	}
	defer upstream.stop()
	s, err := l.behind(ctx, nameOurs, upstream)
	if err != nil {
		return p, err
	}
	defer s.stop()
	c := newClient(s.url)
	defer c.close()
	// Each run is told at which word to go on. So a result that reached another run would be heard.
	ask := func(ctx context.Context, i int) (again request, err error) {
		said := []message{{Role: "user", Content: fmt.Sprintf("Look, %d. %s", i, plan{events: 3, tool: true})}}
		a, err := c.stream(ctx, chatRequest(0, true, said, offered(1)), nil)
		if err == nil && a.callID == "" {
			err = fmt.Errorf("run %d made no call", i)
		}
		again = chatRequest(3, true, withResult(said, a.callID, 10*i), offered(1))
		again.first = 10 * i
		return again, err
	}
	const width = 16
	resume := func(requests []request) error {
		return each(ctx, len(requests), width, func(ctx context.Context, i int) error {
			_, err := c.stream(ctx, requests[i], nil)
			return err
		})
	}
	// A few runs first, so that what a process needs once isn't counted.
	warm := make([]request, 50)
	for i := range warm {
		if warm[i], err = ask(ctx, 1_000_000+i); err != nil {
			return p, err
		}
	}
	if err := resume(warm); err != nil {
		return p, err
	}
	base, err := residentMemory(s.pid)
	if err != nil {
		return p, err
	}
	// What the process had before is not a run's.
	perRun := func() float64 {
		now, _ := residentMemory(s.pid)
		return float64(now-base) / 1024 / float64(runs)
	}
	begin := time.Now()
	requests := make([]request, runs)
	err = each(ctx, runs, width, func(ctx context.Context, i int) (err error) {
		requests[i], err = ask(ctx, i)
		return err
	})
	if err != nil {
		return p, err
	}
	p.runs, p.wait, p.opened, p.atOnce = runs, wait, time.Since(begin), perRun()
	if err := pause(ctx, settle); err != nil { // what parking has left to do is no heartbeat
		return p, err
	}
	before, err := cpuTime(s.pid)
	if err != nil {
		return p, err
	}
	for range 4 {
		if err := pause(ctx, wait/4); err != nil {
			return p, err
		}
		p.meanwhile = append(p.meanwhile, perRun())
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return p, err
	}
	// All requests wait, so what the process did was heartbeats, and the work of timers.
	p.cpu = float64(after-before) / float64(wait)
	begin = time.Now()
	err = resume(requests)
	p.closed = time.Since(begin)
	return p, err
}

// A crowd is many clients that wait for a model that says nothing.
type crowd struct {
	server   *server
	operator string // of the gateway's metrics; "" for other servers
	// streams is how many clients wait.
	streams int
	base    int64   // bytes of resident memory before they came
	each    float64 // KiB of resident memory a stream
	before  float64 // goroutines, of the gateway alone
	after   float64 // goroutines a second after all have left
	leftAt  time.Time
}

// waiting lets clients wait at a server, measures, and lets them leave. The server stays, so that one can see what it gives
// back; the caller stops it.
func (l *lab) waiting(ctx context.Context, name string, upstream *server, streams int) (w *crowd, err error) {
	w = &crowd{streams: streams}
	if name == nameOurs {
		w.server, w.operator, err = l.ours(ctx, upstream)
	} else {
		w.server, err = l.behind(ctx, name, upstream)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.server.stop()
		}
	}()
	c := newClient(w.server.url)
	defer c.close()
	err = each(ctx, 50, 1, func(ctx context.Context, _ int) error {
		_, err := c.stream(ctx, short(plan{events: 1}, true), nil)
		return err
	})
	if err != nil {
		return w, err
	}
	// After the warm-up, so that goroutines which stay are not counted as left behind.
	w.before = w.goroutines(ctx)
	if w.base, err = residentMemory(w.server.pid); err != nil {
		return w, err
	}
	// One context for all clients, so that all leave in the same moment.
	stay, leave := context.WithCancel(ctx)
	defer leave()
	bodies := make([]io.Closer, streams)
	// Some at a time: what is measured is the waiting, and not who survives a rush.
	err = each(ctx, streams, 128, func(_ context.Context, i int) error {
		resp, err := c.open(stay, short(plan{events: 1, silent: time.Hour}, true))
		if err == nil {
			bodies[i] = resp.Body
		}
		return err
	})
	if err != nil {
		return w, err
	}
	now, err := residentMemory(w.server.pid)
	w.each = float64(now-w.base) / 1024 / float64(streams)
	leave()
	for _, body := range bodies {
		body.Close()
	}
	w.leftAt = time.Now()
	if err := pause(ctx, time.Second); err != nil {
		return w, err
	}
	w.after = w.goroutines(ctx)
	return w, err
}

// goroutines is how many the gateway has, without one for each connection to upstream: those stay open for a while, for the next
// runs. It is 0 for other servers.
func (w *crowd) goroutines(ctx context.Context) float64 {
	if w.operator == "" {
		return 0
	}
	n, _ := gauge(ctx, w.operator, "go_goroutines")
	connections, _ := gauge(ctx, w.operator, "composer_upstream_connections")
	return n - connections
}

// left is the server's memory as a multiple of what it was before the clients came, that long after they left. It waits
// until then.
func (w *crowd) left(ctx context.Context, after time.Duration) (float64, error) {
	if err := pause(ctx, max(0, time.Until(w.leftAt.Add(after)))); err != nil {
		return 0, err
	}
	now, err := residentMemory(w.server.pid)
	return float64(now) / float64(w.base), err
}
