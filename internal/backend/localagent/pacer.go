package localagent

import (
	"container/heap"
	"sync"
	"time"
)

// A pacer calls the alarms of all runs from one timer: ten thousand parked runs must not be ten thousand
// timers. No goroutine waits, and a run that ends before its alarm has rung leaves the timer as it is. It is safe for concurrent use.
//
// Lock order: ring takes run.mu, and runs call set and remove with run.mu held, which take pacer.mu. So the pacer
// never calls ring with its own mu held.
//
// Late by granularity at most is good enough: heartbeats are due every few seconds, time limits after tens.
type pacer struct {
	mu sync.Mutex // guards what follows and every alarm's fields
	// alarms is a heap by due (container/heap).
	alarms  alarms
	timer   *time.Timer // calls run
	next    time.Time   // when it does; zero when it is not set
	ringing bool        // run is under way
	began   time.Time   // set once, and needs no lock
}

// An alarm belongs to one run. Its states:
//
//	      set             due              reschedule
//	new ──────► in the heap ──────► ringing ──────────► in the heap
//	                 │ remove          │ remove
//	                 └──────────► removed, for good
//
// The owner (a run) makes one with ring set; the zero value of the rest is an alarm that was never set.
//
// An alarm that rings is in no heap, so set can only note an earlier time for it, which
// reschedule looks at.
type alarm struct {
	// ring is called when the alarm is due and returns when it is due next. It must not wait for anything.
	ring func(now time.Time) (next time.Time)

	// Guarded by pacer.mu.
	due   time.Time // zero before the first set
	index int       // in pacer.alarms; -1 while ringing or removed
	early time.Time // what set asked for while it was ringing
	// removed is final: an alarm that is ringing then is not set again.
	removed bool
}

// granularity is the grain of time: alarms that are due at about the same time ring together, late by no more than
// this. Ten thousand runs would otherwise wake the goroutine ten thousand times in three seconds.
const granularity = 50 * time.Millisecond

// newPacer makes a pacer without alarms. It needs no closing.
func newPacer() *pacer { return &pacer{began: time.Now()} }

// beatsTogether is the distance of the moments at which heartbeats are due, the same for all runs, so that those of one connection
// go out in one write.
const beatsTogether = time.Second

// align is the last such moment before t, or t. They are counted from the pacer's beginning, so that not all gateways of the world
// have the same.
func (p *pacer) align(t time.Time) time.Time {
	return p.began.Add(t.Sub(p.began).Truncate(beatsTogether))
}

// set adds the alarm, or brings it forward; it never puts it off. A removed alarm stays removed.
func (p *pacer) set(a *alarm, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case a.removed:
	case a.due.IsZero():
		a.due = due
		heap.Push(&p.alarms, a)
		p.arm()
	case a.index < 0:
		if a.early.IsZero() || due.Before(a.early) {
			a.early = due
		}
	case due.Before(a.due):
		a.due = due
		heap.Fix(&p.alarms, a.index)
		p.arm()
	}
}

// arm sets the timer for the first alarm, unless it is set for an earlier time. While alarms ring that is put off: due does it
// when they have. mu is held.
func (p *pacer) arm() {
	if p.ringing || len(p.alarms) == 0 {
		return
	}
	due := p.alarms[0].due
	if early := due.Truncate(granularity); early.Before(due) {
		due = early.Add(granularity)
	}
	if !p.next.IsZero() && !due.Before(p.next) {
		return
	}
	p.next = due
	if wait := time.Until(due); p.timer == nil {
		p.timer = time.AfterFunc(wait, p.run)
	} else {
		p.timer.Reset(wait)
	}
}

// remove removes the alarm for good. It may still be ringing when remove returns. A ring that
// is under way is its last.
func (p *pacer) remove(a *alarm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.removed {
		return
	}
	a.removed = true
	if !a.due.IsZero() && a.index >= 0 {
		heap.Remove(&p.alarms, a.index)
	}
}

// run rings the alarms that are due. ring is never called twice at once, and one that waits would delay everybody's
// heartbeats.
func (p *pacer) run() {
	p.mu.Lock()
	if p.ringing { // the timer was set again just when it fired
		p.mu.Unlock()
		return
	}
	p.ringing, p.next = true, time.Time{}
	p.mu.Unlock()
	var ringing []*alarm
	for {
		now := time.Now()
		if ringing = p.due(ringing[:0], now); len(ringing) == 0 {
			return
		}
		for _, a := range ringing {
			next := a.ring(now)
			p.reschedule(a, next)
		}
	}
}

// due takes out the alarms that are due. When there is none, the ringing is over and the timer is set for the next.
func (p *pacer) due(ringing []*alarm, now time.Time) []*alarm {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.alarms) > 0 && !p.alarms[0].due.After(now) {
		ringing = append(ringing, heap.Pop(&p.alarms).(*alarm))
	}
	if len(ringing) == 0 {
		p.ringing = false
		p.arm()
	}
	return ringing
}

// reschedule puts an alarm back that has rung, for next or for what set has asked for
// meanwhile. An alarm that was removed while it rang stays out.
func (p *pacer) reschedule(a *alarm, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.removed {
		return
	}
	if !a.early.IsZero() && a.early.Before(next) {
		next = a.early
	}
	a.due, a.early = next, time.Time{}
	heap.Push(&p.alarms, a)
}

// alarms is a heap for container/heap, the first to ring in front. It keeps each alarm's index.
type alarms []*alarm

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

// Swap implements heap.Interface. Each alarm knows its place, so that remove needs no search.
func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *alarms) Push(x any) {
	a := x.(*alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

// Pop implements heap.Interface.
func (h *alarms) Pop() any {
	old := *h
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	a.index = -1
	return a
}
