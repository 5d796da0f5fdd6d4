package simtest

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"composer-api/internal/status"
)

// watch asks each gateway now and then how it is, as an operator does, until everybody has gone.
func (w *world) watch(gone <-chan struct{}) {
	for {
		select {
		case <-gone:
			return
		case <-time.After(97*time.Second + 61*time.Microsecond):
		}
		for _, r := range w.replicas {
			if report, ok := r.status(); ok {
				w.laws.bounds(r, report)
			}
		}
	}
}

// status is what the gateway of a replica says of itself; false when it says nothing. It goes past the links, so that it disturbs
// nothing and nothing disturbs it.
func (r *replica) status() (report status.Report, ok bool) {
	p := r.process()
	if p == nil {
		return report, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	t := &http.Transport{DialContext: p.listener.Dial, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gateway/status", nil)
	if err != nil {
		panic(err) // our own path
	}
	req.Header.Set("Authorization", "Bearer "+statusToken.Reveal())
	resp, err := t.RoundTrip(req)
	if err != nil {
		return report, false
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&report)
	return report, err == nil && resp.StatusCode == http.StatusOK
}

// bounds: a person has a few requests under way at once, and a run that waits has called tools, no longer ago than it may wait.
func (l *laws) bounds(r *replica, report status.Report) {
	calling := 0
	l.world.upstream.mu.Lock()
	for _, p := range l.world.upstream.plays {
		if len(p.asked) > 0 {
			calling++
		}
	}
	l.world.upstream.mu.Unlock()
	switch {
	case report.Turns > 6*len(l.world.plan.People):
		l.breaks("world", "bounds: replica %d has %d turns under way, of %d people", r.n, report.Turns, len(l.world.plan.People))
	case report.Parked > calling:
		l.breaks("world", "bounds: at replica %d %d runs wait, and %d have called tools", r.n, report.Parked, calling)
	case report.Oldest > (10*time.Minute + time.Second).Seconds():
		l.breaks("world", "bounds: at replica %d a run has waited for %v seconds", r.n, report.Oldest)
	}
}

// isIdle: when everybody has gone, no gateway has anything to do.
func (l *laws) isIdle() {
	for _, r := range l.world.replicas {
		if report, ok := r.status(); ok && report.Turns+report.Parked > 0 {
			l.breaks("world", "bounds: everybody has gone, and replica %d has %d turns under way and %d runs that wait", r.n, report.Turns, report.Parked)
		}
	}
}
