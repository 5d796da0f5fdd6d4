package simtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cli"
	"composer-api/internal/memnet"
)

// The ways between replicas, by which a request comes to the one that holds its run, and new turns leave one that is about to end.

// listen takes an address for a process, where others reach it; nil when replicas have no way to each other.
//
// A process that is started again has the address of the one before it, as on a machine; one that takes over while the other
// still runs has another.
func (r *replica) listen(p *process) *cli.PeerListener {
	if r.ways == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now != nil || r.places == 0 {
		r.places++
	}
	p.peers, p.address = memnet.Listen(), fmt.Sprintf("10.0.%d.%d:8788", r.n, r.places)
	r.reached = append(r.reached, p)
	return &cli.PeerListener{Listener: p.peers, Address: p.address, Secret: agent.NewSecret("a secret of all replicas"), Dial: r.dialOther}
}

// dialOther connects to another replica, by the way to its place.
func (r *replica) dialOther(ctx context.Context, network, address string) (net.Conn, error) {
	for other, way := range r.ways {
		if strings.HasPrefix(address, fmt.Sprintf("10.0.%d.", other.n)) {
			return way.Dial(ctx, network, address)
		}
	}
	return nil, errDown
}

// dialPeer is the end of the ways to this place: it connects to the process that has taken an address last.
func (r *replica) dialPeer(ctx context.Context, network, address string) (net.Conn, error) {
	r.mu.Lock()
	var to *process
	for _, p := range r.reached {
		if p.address == address {
			to = p
		}
	}
	r.mu.Unlock()
	if to == nil {
		return nil, errDown
	}
	return to.peers.Dial(ctx, network, address)
}

// peerLinks does something to all ways from this replica and to it, in the order of the replicas.
func (r *replica) peerLinks(do func(*memnet.Link)) {
	for _, other := range r.world.replicas {
		if other != r && r.ways != nil {
			do(r.ways[other])
			do(other.ways[r])
		}
	}
}

func (r *replica) splitPeers(on bool) { r.peerLinks(func(k *memnet.Link) { k.Split(on) }) }

func (r *replica) slowPeers(by time.Duration) { r.peerLinks(func(k *memnet.Link) { k.Slow(by) }) }

// gatewayLog is what all replicas log to. It is safe for concurrent use.
type gatewayLog struct {
	mu    sync.Mutex
	b     bytes.Buffer
	moved map[string]string // why a request was answered by another replica than the one it came to, by its id
}

// Write takes one line.
func (l *gatewayLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, why := field(line, " id="), field(line, " moved="); id != "" && why != "" {
		if l.moved == nil {
			l.moved = map[string]string{}
		}
		l.moved[id] = why
	}
	return l.b.Write(line)
}

// why says why a request was answered by another replica; "" when it was not.
func (l *gatewayLog) why(request string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moved[request]
}

// field is the value that a line has after a name; "" when it has none.
func field(line []byte, name string) string {
	_, rest, _ := bytes.Cut(line, []byte(name))
	value, _, _ := bytes.Cut(rest, []byte(" "))
	return string(bytes.TrimSpace(value))
}

// found are the answers to calls after which the run that waits can be found: by the ids of its calls, for an owner and a model that
// are the same, in a conversation that was not changed.
var found = []string{"", "late", "reordered", "partial", "error", "reshaped", "tools"}

// kept: results go to the run that waits for them, at whichever replica they come in, when all has been well since it called and they have not been brought before. Over
// a socket a turn doesn't move, and a background response doesn't say what it has gone on with.
func (l *laws) kept(p *living, c *talk, t *task, r *reply) {
	w := l.world
	moved, calls := w.log.why(r.request), c.lastCalls()
	if moved != "" {
		w.situation("answered elsewhere: " + moved + " × " + c.surface + " × " + w.plan.Upstream)
		for _, o := range w.during(r.began, r.finished) {
			w.situation("answered elsewhere: " + moved + " × " + o.Do)
		}
	}
	if c.awaits() && moved == "held" {
		if s := stageOfCall(t, calls[0]); s != nil {
			w.meets(w.plan.of(p.person, t, s) + carried)
		}
	}
	if !c.awaits() || !r.ok() || r.resume == "" || c.given == nil || len(c.given.calls) == 0 || c.tries > 1 || c.given.calls[0].id != calls[0].id {
		return
	}
	s := stageOfCall(t, calls[0])
	switch {
	case s == nil || !slices.Contains(found, s.Answer) || twice(t):
	case w.plan.Tight, p.Wanders && !w.plan.Carries, p.Wanders && p.Socket && c.surface == "responses":
	case w.during(c.given.began.Add(-settled), r.finished) != nil, w.upstream.faultsOf(c.key, p.Speaks, c.given.began, r.finished) != nil:
	case r.resume != "parked":
		l.breaks(p.Name, "kept: its results (%s) went on as %q, moved %q, though all is well", s.Answer, r.resume, moved)
	default:
		w.situation("kept × " + map[bool]string{true: "at another replica", false: "here"}[moved != ""] + " × " + w.plan.Upstream)
	}
}

// settled is how long after an operation replicas may be without what they know of each other: the lease of one, and some.
const settled = 15 * time.Second

// passesOn reports whether a replica that ends has somebody to send new turns to meanwhile, so that nobody may be refused: nothing else
// happens, and others take new turns. A socket can't be sent on, a turn that is under way ends with the grace period, and after that
// the process closes what is left of it.
func (l *laws) passesOn(p *living, o *operation, r *reply) bool {
	if !l.world.plan.Carries || p.Socket || !strings.Contains(r.err, "is shutting down") || !slices.Contains([]string{"drain", "restart", "deploy", "rotate the key"}, o.Do) {
		return false
	}
	on := l.world.during(r.began.Add(-settled), r.finished)
	return len(on) == 1 && on[0] == o && r.finished.Before(l.world.begin(o).Add(grace))
}
