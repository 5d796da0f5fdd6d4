package storetest

import (
	"fmt"
	"slices"
	"time"

	"composer-api/internal/store"
)

// session has the agent id agent-1 and expires at until, counted from the exam's beginning.
func session(owner, name string, until time.Duration) store.Session {
	return store.Session{Key: store.NewSessionKey(owner, name), AgentID: "agent-1", Expires: at(until)}
}

// sessionCases are about the sessions of clients: a name of the client's choice, which stands for
// one agent upstream.
var sessionCases = []examCase{
	// The second caller must use the agent that the session has, and keeps it alive.
	{name: "the first to open a session decides, and every use moves its end", run: func(e *exam) {
		first := session("k:1", "s", time.Hour)
		e.same(get[store.Session](e)(e.OpenSession(e.ctx, first)), first)
		second := session("k:1", "s", 2*time.Hour)
		second.AgentID = "agent-2"
		want := second
		// All of the second but its agent: the end has moved.
		want.AgentID = "agent-1"
		e.same(get[store.Session](e)(e.OpenSession(e.ctx, second)), want)
	}},
	// A client that sends several requests at once with a new session id must not get several agents.
	{name: "fifty that open one session at once, on two replicas, get one agent", run: func(e *exam) {
		replicas := []store.Store{e.Store, e.open()}
		agents := make([]string, 50)
		e.together(50, func(i int) error {
			s := session("k:1", "s", time.Hour)
			s.AgentID = fmt.Sprint("agent-", i)
			s, err := replicas[i%2].OpenSession(e.ctx, s)
			agents[i] = s.AgentID
			return err
		})
		for _, a := range agents {
			// Which of the fifty has won doesn't matter.
			e.same(a, agents[0])
		}
	}},
	// Upstream has forgotten the agent by then; nobody has swept the row.
	{name: "after its end a session begins again", run: func(e *exam) {
		get[store.Session](e)(e.OpenSession(e.ctx, session("k:1", "s", time.Hour)))
		e.pass(time.Hour)
		next := session("k:1", "s", 7*time.Hour)
		next.AgentID = "agent-2"
		e.same(get[store.Session](e)(e.OpenSession(e.ctx, next)), next)
	}},
	// Upstream has lost the agent: the session gets another, or none.
	{name: "a session can be replaced and forgotten", run: func(e *exam) {
		get[store.Session](e)(e.OpenSession(e.ctx, session("k:1", "s", time.Hour)))
		next := session("k:1", "s", 2*time.Hour)
		next.AgentID = "agent-2"
		e.ok(e.PutSession(e.ctx, next))
		e.same(get[store.Session](e)(e.OpenSession(e.ctx, session("k:1", "s", 2*time.Hour))), next)
		e.ok(e.DeleteSession(e.ctx, next.Key))
		// A second time: no error.
		e.ok(e.DeleteSession(e.ctx, next.Key))
		e.same(get[store.Session](e)(e.OpenSession(e.ctx, session("k:1", "s", time.Hour))), session("k:1", "s", time.Hour))
	}},
	// Session is for those who must not make one.
	{name: "looking at a session changes nothing, and finds what is there alone", run: func(e *exam) {
		first := session("k:1", "s", time.Hour)
		get[store.Session](e)(e.OpenSession(e.ctx, first))
		e.same(get[store.Session](e)(e.Session(e.ctx, first.Key)), first)
		_, err := e.Session(e.ctx, session("k:2", "s", time.Hour).Key)
		e.fails(err, store.ErrNotFound)
		e.pass(time.Hour)
		_, err = e.Session(e.ctx, first.Key)
		e.fails(err, store.ErrNotFound)
	}},
	// Clients choose the names, and two of them may choose the same.
	{name: "sessions of one name belong to their owners", run: func(e *exam) {
		get[store.Session](e)(e.OpenSession(e.ctx, session("k:1", "s", time.Hour)))
		others := session("k:2", "s", time.Hour)
		others.AgentID = "agent-2"
		e.same(get[store.Session](e)(e.OpenSession(e.ctx, others)), others)
	}},
}

// parkedCases are about which replica waits for the result of a call, and which replicas live.
var parkedCases = []examCase{
	// A client may send several results at once; one of them is enough to find the replica that waits.
	{name: "a parked call is found by any of its keys, until it expires", run: func(e *exam) {
		key := store.NewParkedKey("k:1", "call_1")
		other := store.NewParkedKey("k:1", "call_2")
		e.ok(e.RenewReplica(e.ctx, store.Replica{ID: "replica_1"}, time.Hour))
		e.ok(e.RenewReplica(e.ctx, store.Replica{ID: "replica_2"}, time.Hour))
		_, err := e.ParkedAt(e.ctx, [][32]byte{key})
		e.fails(err, store.ErrNotFound)
		e.ok(e.PutParkedCalls(e.ctx, []store.ParkedCall{parkedCall(key, "1", time.Minute)}))
		e.same(get[string](e)(e.ParkedAt(e.ctx, [][32]byte{other, key})), "10.0.0.1:8788")
		// Calls are never another owner's.
		_, err = e.ParkedAt(e.ctx, [][32]byte{store.NewParkedKey("k:2", "call_1")})
		e.fails(err, store.ErrNotFound)
		// The replica that parked a call last has it.
		e.ok(e.PutParkedCalls(e.ctx, []store.ParkedCall{parkedCall(key, "2", time.Minute), parkedCall(other, "2", time.Hour)}))
		e.same(get[string](e)(e.open().ParkedAt(e.ctx, [][32]byte{key})), "10.0.0.2:8788")
		e.now = at(time.Minute)
		_, err = e.ParkedAt(e.ctx, [][32]byte{key})
		e.fails(err, store.ErrNotFound)
		// Only the expired one goes.
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(1))
		e.same(get[string](e)(e.ParkedAt(e.ctx, [][32]byte{other})), "10.0.0.2:8788")
	}},
	// Its runs died with it. A process that is started again at the same address has another id.
	{name: "a replica that has died, or has ended, is not asked", run: func(e *exam) {
		keys := [][32]byte{store.NewParkedKey("k:1", "call_1"), store.NewParkedKey("k:1", "call_2"), store.NewParkedKey("k:1", "call_3")}
		e.ok(e.RenewReplica(e.ctx, store.Replica{ID: "replica_1"}, 0)) // a lease that has ended, as one that was not renewed
		e.ok(e.RenewReplica(e.ctx, store.Replica{ID: "replica_2"}, time.Hour))
		for i, key := range keys {
			e.ok(e.PutParkedCalls(e.ctx, []store.ParkedCall{parkedCall(key, fmt.Sprint(i+1), time.Hour)}))
		}
		for _, dead := range []int{0, 2} { // the third was never told of
			_, err := e.ParkedAt(e.ctx, keys[dead:dead+1])
			e.fails(err, store.ErrNotFound)
		}
		e.same(get[string](e)(e.ParkedAt(e.ctx, keys)), "10.0.0.2:8788")
		e.ok(e.RenewReplica(e.ctx, store.Replica{ID: "replica_1"}, time.Hour)) // it only had no database for a while
		e.same(get[string](e)(e.open().ParkedAt(e.ctx, keys)), "10.0.0.1:8788")
		e.ok(e.EndReplica(e.ctx, "replica_1"))
		e.ok(e.EndReplica(e.ctx, "replica_1"))
		e.same(get[string](e)(e.ParkedAt(e.ctx, keys)), "10.0.0.2:8788")
		e.ok(e.RenewReplica(e.ctx, store.Replica{ID: "replica_2"}, 0))
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(0)) // what it takes of these is not counted
		_, err := e.ParkedAt(e.ctx, keys)
		e.fails(err, store.ErrNotFound)
	}},
	// A replica that is about to end sends new turns on to one of these.
	{name: "a replica takes new turns from when it says where until it says no more, or has died", run: func(e *exam) {
		// Each time another replica asks, so that nothing can come from a cache.
		open := func(want ...string) {
			e.Helper()
			if got := get[[]string](e)(e.open().OpenReplicas(e.ctx)); !slices.Equal(got, want) {
				e.Errorf("%q take new turns, not %q", got, want)
			}
		}
		open()
		first, second := store.Replica{ID: "replica_1", Address: "10.0.0.1:8788"}, store.Replica{ID: "replica_2", Address: "10.0.0.2:8788"}
		e.ok(e.RenewReplica(e.ctx, second, time.Hour))
		e.ok(e.RenewReplica(e.ctx, first, time.Hour))
		e.ok(e.RenewReplica(e.ctx, store.Replica{ID: "replica_3"}, time.Hour)) // of an older version
		open(first.Address, second.Address)
		e.ok(e.RenewReplica(e.ctx, store.Replica{ID: first.ID}, time.Hour)) // about to end
		open(second.Address)
		e.ok(e.RenewReplica(e.ctx, second, 0))
		open()
		e.ok(e.RenewReplica(e.ctx, first, time.Hour))
		open(first.Address)
		e.ok(e.EndReplica(e.ctx, first.ID))
		open()
	}},
}

// parkedCall is held by the replica with a number.
func parkedCall(key [32]byte, number string, until time.Duration) store.ParkedCall {
	return store.ParkedCall{Key: key, Replica: "replica_" + number, Address: "10.0.0." + number + ":8788", Expires: at(until)}
}
