package simtest

import (
	"math/rand/v2"
	"time"
)

// An operation is what an operator or the network does.
type operation struct {
	At      time.Duration
	Do      string // one of operations
	Replica int    // which one, from 0
	For     time.Duration
}

// operations are what operators and networks do. Each is over after operation.For.
var operations = map[string]struct {
	begin func(*world, *operation)
	end   func(*world, *operation)
}{
	"restart":        {func(w *world, o *operation) { w.replicas[o.Replica].stop(20 * time.Second) }, func(w *world, o *operation) { w.replicas[o.Replica].start() }},
	"kill":           {func(w *world, o *operation) { w.replicas[o.Replica].stop(0) }, func(w *world, o *operation) { w.replicas[o.Replica].start() }},
	"store away":     {func(w *world, o *operation) { w.away(o, true) }, func(w *world, o *operation) { w.away(o, false) }},
	"store slow":     {func(w *world, o *operation) { w.slow(o, 700*time.Millisecond) }, func(w *world, o *operation) { w.slow(o, 0) }},
	"store stuck":    {func(w *world, o *operation) { w.slow(o, time.Hour) }, func(w *world, o *operation) { w.slow(o, 0) }},
	"cut clients":    {func(w *world, o *operation) { w.replicas[o.Replica].in.Cut() }, nil},
	"cut upstream":   {func(w *world, o *operation) { w.replicas[o.Replica].out.Cut() }, nil},
	"split clients":  {func(w *world, o *operation) { w.replicas[o.Replica].in.Split(true) }, func(w *world, o *operation) { w.replicas[o.Replica].in.Split(false) }},
	"split upstream": {func(w *world, o *operation) { w.replicas[o.Replica].out.Split(true) }, func(w *world, o *operation) { w.replicas[o.Replica].out.Split(false) }},
	"revoke tokens":  {func(w *world, o *operation) { w.sim.RevokeTokens() }, nil},
	"kill bridges":   {func(w *world, o *operation) { w.killBridges() }, nil},
}

// operationNames are the keys of operations, in the order in which seeds choose.
var operationNames = []string{"restart", "kill", "kill", "store away", "store slow", "store stuck", "cut clients", "cut upstream", "split clients", "split upstream", "revoke tokens", "kill bridges"}

func newOperation(r *rand.Rand, p *plan) *operation {
	o := &operation{At: time.Duration(r.IntN(120))*97*time.Millisecond + 3_333*time.Microsecond, Do: pick(r, operationNames), Replica: r.IntN(p.Replicas), For: time.Duration(1+r.IntN(40)) * time.Second}
	if p.Upstream == "sdkbridge" && (o.Do == "cut upstream" || o.Do == "split upstream") {
		o.Do = "kill bridges"
	}
	return o
}

func (w *world) operate(o *operation) {
	time.Sleep(o.At)
	w.say("operator", "%s, replica %d, for %v", o.Do, o.Replica+1, o.For)
	w.situation("operator × " + o.Do + " × " + w.plan.Upstream)
	do := operations[o.Do]
	do.begin(w, o)
	time.Sleep(max(0, time.Until(w.story.began.Add(o.At+o.For))))
	if do.end != nil {
		do.end(w, o)
		w.say("operator", "%s is over", o.Do)
	}
}

func (w *world) away(o *operation, away bool) {
	r := w.replicas[o.Replica]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store.Away(away)
}

func (w *world) slow(o *operation, d time.Duration) {
	r := w.replicas[o.Replica]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store.Slow(d)
}

func (w *world) killBridges() {
	if w.bridges == nil {
		return
	}
	for _, b := range w.bridges.Bridges() {
		b.Kill()
	}
}

// disturbed reports whether an operation was on between two times, or shortly before: what it has broken may show later.
func (w *world) disturbed(from, to time.Time) bool {
	for _, o := range w.plan.Operations {
		at := w.story.began.Add(o.At)
		if !at.After(to) && !at.Add(o.For+time.Minute).Before(from) {
			return true
		}
	}
	return false
}
