package simtest

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"composer-api/internal/memnet"
)

// An operation is what an operator or the network does.
type operation struct {
	At      time.Duration
	Do      string // one of operations
	Replica int    // which one, from 0
	For     time.Duration
}

// operations are what operators and networks do. Each is over after operation.For; one without an end lasts no time. explains
// is what requests may fail with that are under way meanwhile: nothing, when nobody may notice. spends is how many retries of a
// turn it may take: one for the connection of its runs that it breaks, and one for that of the key's exchange if that is the
// gateway's to find out.
var operations = map[string]struct {
	begin    func(*world, *replica)
	end      func(*world, *replica)
	explains []string
	spends   int
}{
	"restart":            {func(_ *world, r *replica) { r.stop(grace) }, func(_ *world, r *replica) { r.start() }, slices.Concat(byWay, byLoad), 0},
	"kill":               {func(_ *world, r *replica) { r.stop(0) }, func(_ *world, r *replica) { r.start() }, byWay, 0},
	"deploy":             {func(_ *world, r *replica) { r.deploy() }, nil, slices.Concat(byWay, byLoad), 0},
	"rotate the key":     {func(w *world, _ *replica) { w.rotate() }, nil, slices.Concat(byWay, byLoad), 0},
	"store away":         {func(_ *world, r *replica) { r.away(true) }, func(_ *world, r *replica) { r.away(false) }, byLoad, 0},
	"store slow":         {func(_ *world, r *replica) { r.slow(700 * time.Millisecond) }, func(_ *world, r *replica) { r.slow(0) }, nil, 0},
	"store stuck":        {func(_ *world, r *replica) { r.slow(time.Hour) }, func(_ *world, r *replica) { r.slow(0) }, byLoad, 0},
	"clock ahead":        {func(w *world, _ *replica) { w.clock.set(5 * time.Hour) }, func(w *world, _ *replica) { w.clock.set(0) }, nil, 0},
	"clock behind":       {func(w *world, _ *replica) { w.clock.set(-5 * time.Hour) }, func(w *world, _ *replica) { w.clock.set(0) }, nil, 0},
	"cut clients":        {func(_ *world, r *replica) { r.in.Cut() }, nil, byWay, 0},
	"cut upstream":       {func(_ *world, r *replica) { r.out.Cut() }, nil, byUpstream, 1},
	"split clients":      {func(_ *world, r *replica) { r.in.Split(true) }, func(_ *world, r *replica) { r.in.Split(false) }, byWay, 0},
	"split upstream":     {func(_ *world, r *replica) { r.out.Split(true) }, func(_ *world, r *replica) { r.out.Split(false) }, slices.Concat(byUpstream, byTime), 2},
	"half-open upstream": {func(_ *world, r *replica) { r.out.Freeze() }, func(_ *world, r *replica) { noticed(r.out) }, slices.Concat(byUpstream, byTime), 2},
	"half-open clients":  {func(_ *world, r *replica) { r.in.Freeze() }, func(_ *world, r *replica) { noticed(r.in) }, byWay, 0},
	"Cursor ahead":       {func(w *world, _ *replica) { w.cursorClock.set(5 * time.Hour) }, func(w *world, _ *replica) { w.cursorClock.set(0) }, nil, 0},
	"Cursor behind":      {func(w *world, _ *replica) { w.cursorClock.set(-5 * time.Hour) }, func(w *world, _ *replica) { w.cursorClock.set(0) }, nil, 0},
	"drain":              {func(_ *world, r *replica) { r.drain() }, func(_ *world, r *replica) { r.start() }, slices.Concat(byWay, byLoad), 0},
	"cut peers":          {func(_ *world, r *replica) { r.peerLinks((*memnet.Link).Cut) }, nil, byWay, 0},
	"split peers":        {func(_ *world, r *replica) { r.splitPeers(true) }, func(_ *world, r *replica) { r.splitPeers(false) }, byWay, 0},
	"half-open peers":    {func(_ *world, r *replica) { r.peerLinks((*memnet.Link).Freeze) }, func(_ *world, r *replica) { r.peerLinks(noticed) }, byWay, 0},
	"slow peers":         {func(_ *world, r *replica) { r.slowPeers(700 * time.Millisecond) }, func(_ *world, r *replica) { r.slowPeers(0) }, nil, 0},
	"goaway":             {func(w *world, _ *replica) { w.goAway() }, nil, nil, 0},
	"revoke tokens":      {func(w *world, _ *replica) { w.sim.RevokeTokens() }, nil, nil, 0},
	"kill bridges":       {func(w *world, _ *replica) { w.killBridges() }, nil, byUpstream, 1},
}

// operationNames are the keys of operations, in the order in which seeds choose; some more often than others.
var operationNames = []string{
	"restart", "kill", "kill", "deploy", "rotate the key", "store away", "store slow", "store stuck", "clock ahead", "clock behind", "cut clients",
	"cut upstream", "split clients", "split upstream", "half-open upstream", "goaway", "revoke tokens", "kill bridges",
}

// laterOperations are those that came later; see plan.more.
//
// A gateway's own clock can't jump in a bubble, where all that ask package time get the same. What it is compared with can: the
// database's, by which leases and rows end, and Cursor's, by which access tokens do. A gateway that is five hours ahead of both
// can't be told from the two five hours behind.
var laterOperations = []string{"half-open clients", "half-open clients", "Cursor ahead", "Cursor behind"}

// peerOperations are those between replicas; see plan.carry.
var peerOperations = []string{"drain", "drain", "cut peers", "split peers", "half-open peers", "slow peers"}

// grace is how long a process that is stopped in good order gives its turns.
const grace = 20 * time.Second

func newOperation(r *rand.Rand, p *plan) *operation {
	o := &operation{At: time.Duration(r.IntN(120))*97*time.Millisecond + 3_333*time.Microsecond, Do: pick(r, operationNames), Replica: r.IntN(p.Replicas), For: time.Duration(1+r.IntN(40)) * time.Second}
	if p.Upstream == "sdkbridge" && (strings.HasSuffix(o.Do, " upstream") || o.Do == "goaway" || o.Do == "revoke tokens") {
		o.Do = "kill bridges"
	}
	return o
}

func (w *world) operate(o *operation) {
	time.Sleep(o.At)
	w.say("operator", "%s, replica %d, for %v", o.Do, o.Replica+1, o.For)
	w.situation("operator × " + o.Do + " × " + w.plan.Upstream)
	do, r := operations[o.Do], w.replicas[o.Replica]
	w.note(w.began, o)
	do.begin(w, r)
	if do.end != nil {
		time.Sleep(max(0, time.Until(w.story.began.Add(o.At+o.For))))
		do.end(w, r)
		w.say("operator", "%s is over", o.Do)
	}
	w.note(w.ended, o)
}

// noticed waits until those who dialed have given up the last connection that is half open. They may find out only when they next
// use it, but keep none for longer than socketTime.
func noticed(link *memnet.Link) {
	for end := time.Now().Add(socketTime + time.Minute); link.Frozen() > 0 && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
}

// note writes down when something of an operation was.
func (w *world) note(when map[*operation]time.Time, o *operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	when[o] = time.Now()
}

func (r *replica) away(away bool) {
	if p := r.process(); p != nil {
		p.store.Away(away)
	}
}

func (r *replica) slow(d time.Duration) {
	if p := r.process(); p != nil {
		p.store.Slow(d)
	}
}

// drain ends the process in good order. Until it listens no more, clients still come to it.
func (r *replica) drain() {
	p := r.process()
	if p == nil {
		return
	}
	p.end(grace)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == p {
		r.now = nil
	}
}

// deploy starts a process in place of another, which ends in good order meanwhile.
func (r *replica) deploy() {
	if before := r.replace(); before != nil {
		before.end(grace)
	}
}

// rotate gives all replicas a new encryption key, as a deploy does. Where there are several, one that has the new key would seal what
// another one has yet to read, so all can read it before one seals with it: two deploys.
func (w *world) rotate() {
	if len(w.replicas) > 1 {
		w.mu.Lock()
		w.announced = true
		w.mu.Unlock()
		w.deployAll()
	}
	w.mu.Lock()
	w.rotations++
	w.announced = false
	w.mu.Unlock()
	w.deployAll()
}

// deployAll deploys all replicas at once.
func (w *world) deployAll() {
	var all sync.WaitGroup
	for _, r := range w.replicas {
		if r.process() != nil { // one that is down has the new key when it starts
			all.Go(r.deploy)
		}
	}
	all.Wait()
}

// goAway has another server of Cursor's take over: the one before tells its clients so, and ends when they have gone. It never
// hears so of a client whose connection is half open.
func (w *world) goAway() {
	before := w.serve()
	w.mu.Lock()
	w.gone = append(w.gone, before)
	w.mu.Unlock()
	go before.Shutdown(context.Background())
}

func (w *world) killBridges() {
	if w.bridges == nil {
		return
	}
	for _, b := range w.bridges.Bridges() {
		b.Kill()
	}
}

// reached are the operations that a request may have met which began and ended then. What a server does reaches its clients one way
// later: one that closes a connection in good order may cross with a request on it.
func (w *world) reached(r *reply) []*operation {
	return w.during(r.began.Add(-w.plan.Latency-time.Millisecond), r.finished)
}

// begin is when an operation has begun; zero is not yet.
func (w *world) begin(o *operation) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.began[o]
}

// during are the operations that were on at any moment between two times. What lasts no time is on at its beginning only.
func (w *world) during(from, to time.Time) (on []*operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.plan.Operations {
		if began, ended := w.began[o], w.ended[o]; !began.IsZero() && !began.After(to) && (ended.IsZero() || !ended.Before(from)) {
			on = append(on, o)
		}
	}
	return on
}

// storeIsAway reports whether a replica is without its store during an operation.
func storeIsAway(o *operation) bool { return o.Do == "store away" || o.Do == "store stuck" }

// endsAProcess reports whether a process of a replica ends by an operation.
func endsAProcess(o *operation) bool {
	return slices.Contains([]string{"deploy", "rotate the key", "restart", "kill", "drain"}, o.Do)
}
