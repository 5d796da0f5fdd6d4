package gateway

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/store/sqlstore"
)

// Two replicas share a database. The client gets a call from one and brings the result to the other.
func TestARunThatItsSessionLeavesForAnotherReplicaIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	for name, tc := range map[string]struct {
		next   func(c *chat, here, there *Gateway)
		closed bool
	}{
		"the session goes on there": {func(c *chat, _, there *Gateway) {
			c.g = there
			c.result("call_1a", "A").result("call_1b", "B").result("call_1c", "C").must(agent.ResumeTranscript, "from the transcript")
		}, true},
		"nothing goes on": {func(*chat, *Gateway, *Gateway) {}, false},
		"another session goes on there": {func(c *chat, _, there *Gateway) {
			other := newChat(c.t, there).user("what is there?")
			other.session, other.pin = "s2", true
			other.must(agent.ResumeNew, "")
		}, false},
		"a title is asked for here": {func(c *chat, _, _ *Gateway) {
			title := c.fork()
			title.tools, title.history = nil, title.history[:1]
			title.must(agent.ResumeNew, "")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: path + name})
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				fake := rounds()
				here, there := New(Config{Backends: []agent.Backend{fake}, Sessions: db}), New(Config{Backends: []agent.Backend{rounds()}, Sessions: db})
				defer here.Close(context.Background())
				defer there.Close(context.Background())
				c := newChat(t, here).user("what is there?")
				c.session, c.pin = "s1", true
				c.must(agent.ResumeNew, "")
				time.Sleep(time.Second)
				tc.next(c, here, there)
				time.Sleep(orphanCheck + time.Second)
				if closed := fake.Runs()[0].IsClosed(); closed != tc.closed {
					t.Errorf("closed: %v", closed)
				}
			})
		})
	}
}

// Without a pinned session nothing tells a replica that a loop has gone on elsewhere, until it comes back: its transcript has the
// calls that a run waits for here, answered and passed. Calls that were renamed on the way are known by the session alone.
func TestARunIsClosedAtOnceWhenItsLoopComesBackFromAnotherReplica(t *testing.T) {
	renamed := func(id string) string { return "mine_" + id }
	for name, tc := range map[string]struct {
		session string
		back    func(c *chat)
		closed  bool
	}{
		"with the next results":              {"", func(c *chat) { c.result("call_1d", "D") }, true},
		"with a message":                     {"", func(c *chat) { c.user("and now?") }, true},
		"with a message and another tool":    {"", func(c *chat) { c.user("and now?").tools = c.tools[:1] }, true},
		"with renamed calls, in a session":   {"s1", func(c *chat) { c.user("and now?").rename(renamed) }, true},
		"with renamed calls":                 {"", func(c *chat) { c.user("and now?").rename(renamed) }, false},
		"after the context was made smaller": {"", func(c *chat) { c.history = nil; c.user("go on") }, false},
		"by another user":                    {"", func(c *chat) { c.user("and now?").owner = "bob" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := rounds()
				here := New(Config{Backends: []agent.Backend{fake}})
				elsewhere := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
					return backendtest.Turns{{backendtest.CallTool("call_1d", "look", `{"at":2}`), backendtest.Wait()}}, nil
				})
				there := New(Config{Backends: []agent.Backend{elsewhere}})
				defer here.Close(context.Background())
				defer there.Close(context.Background())
				c := newChat(t, here).user("what is there?")
				c.session = tc.session
				c.must(agent.ResumeNew, "")
				c.g = there
				c.result("call_1a", "A").result("call_1b", "B").result("call_1c", "C").must(agent.ResumeTranscript, "")
				c.g = here
				tc.back(c)
				if _, err := c.send(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if closed := fake.Runs()[0].IsClosed(); closed != tc.closed {
					t.Errorf("closed: %v", closed)
				}
			})
		})
	}
}

// What nobody waits for any more is forgotten.
func TestSessionsAreLookedAfterWhileARunWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{Backends: []agent.Backend{rounds()}, Sessions: register{}, ParkTimeout: time.Minute})
		defer g.Close(context.Background())
		c := newChat(t, g).user("what is there?")
		c.session, c.pin = "s1", true
		c.must(agent.ResumeNew, "")
		if n := len(g.orphans.all()); n != 1 {
			t.Errorf("%d sessions are looked after, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		if n := len(g.orphans.all()); n != 0 {
			t.Errorf("%d sessions are looked after, want none", n)
		}
	})
}
