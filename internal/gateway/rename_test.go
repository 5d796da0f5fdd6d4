package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// rename gives all calls of the history, and their results, other ids.
func (c *chat) rename(other func(id string) string) *chat {
	for i := range c.history {
		m := &c.history[i]
		m.Calls = slices.Clone(m.Calls)
		for j := range m.Calls {
			m.Calls[j].ID = other(m.Calls[j].ID)
		}
		if m.Role == agent.ToolRole {
			m.CallID = other(m.CallID)
		}
	}
	return c
}

func prefixed(id string) string { return "toolu_" + id }

// rounds plays runs that call tools in two rounds and then answer. Each run's calls have ids of their own.
func rounds() *backendtest.Fake {
	var mu sync.Mutex
	n := 0
	return backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		if req.Continue != nil {
			return backendtest.Turns{{backendtest.Say("from memory"), backendtest.End("")}}, nil
		}
		if len(req.Messages) > 1 {
			return backendtest.Turns{{backendtest.Say("from the transcript"), backendtest.End("")}}, nil
		}
		id := func(call string) string { return fmt.Sprint("call_", n, call) }
		return backendtest.Turns{
			{backendtest.CallTool(id("a"), "look", `{"at":1}`), backendtest.CallTool(id("b"), "look", `{"at":1}`), backendtest.CallTool(id("c"), "listen", `{}`), backendtest.Wait()},
			{backendtest.CallTool(id("d"), "look", `{"at":2}`), backendtest.Wait()},
			{backendtest.Say("seen"), backendtest.End("agent-1")},
		}, nil
	})
}

func TestARunIsFoundAlthoughTheClientRenamesItsCalls(t *testing.T) {
	for name, other := range map[string]func(string) string{
		"each":            prefixed,
		"all to the same": func(string) string { return "0" },
	} {
		t.Run(name, func(t *testing.T) {
			fake := rounds()
			c := newChat(t, newGateway(t, fake)).user("what is there?")
			c.must(agent.ResumeNew, "")
			c.result("call_1a", "A").result("call_1b", "B").result("call_1c", "C").rename(other).must(agent.ResumeParked, "")
			if name == "each" {
				c.history[1].Calls[0].Arguments = []byte(`{"at": 1, "id": "toolu_call_1a"}`) // as n8n does
			}
			c.result(other("call_1d"), "D")
			c.history[len(c.history)-2].Calls[0].ID = other("call_1d")
			c.must(agent.ResumeParked, "seen")
			wantResults(t, fake.Runs()[0], "call_1a error=false A", "call_1b error=false B", "call_1c error=false C", "call_1d error=false D")
			c.user("and now?").must(agent.ResumeMemory, "from memory")
		})
	}
}

func TestARenamedRunIsClaimedOnce(t *testing.T) {
	fake := rounds()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "")
	c.result("call_1a", "A").result("call_1b", "B").result("call_1c", "C").rename(prefixed)
	var wg sync.WaitGroup
	resumed := make([]agent.Resume, 20)
	for i := range resumed {
		again := c.fork()
		wg.Go(func() {
			r, err := again.send()
			if err != nil {
				t.Error(err)
				return
			}
			resumed[i] = r.accepted[0].Resume
		})
	}
	wg.Wait()
	parked := 0
	for _, r := range resumed {
		if r == agent.ResumeParked {
			parked++
		}
	}
	if parked != 1 {
		t.Errorf("%d requests resumed the run", parked)
	}
}

func TestARenamedRunIsNotTakenFor(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*chat)
		parked int
	}{
		"another owner's":      {func(c *chat) { c.owner = "bob" }, 1},
		"another model's":      {func(c *chat) { c.model = "composer-2" }, 1},
		"an edited history's":  {func(c *chat) { c.history[0].Parts[0].Text = "what was there?" }, 1},
		"other calls'":         {func(c *chat) { c.history[1].Calls[0].Arguments = []byte(`{"at":3}`) }, 1},
		"one without its tool": {func(c *chat) { c.tools = c.tools[:1] }, 1},
		"one of two twins":     {func(c *chat) { newChat(c.t, c.g).user("what is there?").must(agent.ResumeNew, "") }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			fake := rounds()
			c := newChat(t, newGateway(t, fake)).user("what is there?")
			c.must(agent.ResumeNew, "")
			c.result("call_1a", "A").result("call_1b", "B").result("call_1c", "C").rename(prefixed)
			tc.change(c)
			c.must(agent.ResumeTranscript, "from the transcript")
			if n := c.g.parked(); n != tc.parked {
				t.Errorf("%d still wait, want %d", n, tc.parked)
			}
		})
	}
}

// A renamed run goes on with other tools, as one that is found by its ids does. Of two that said the same, the one with
// the request's tools is meant.
func TestARenamedRunGoesOnWithOtherTools(t *testing.T) {
	for name, twin := range map[string]bool{"alone": false, "beside a twin with these tools": true} {
		t.Run(name, func(t *testing.T) {
			fake := rounds()
			c := newChat(t, newGateway(t, fake)).user("what is there?")
			c.must(agent.ResumeNew, "")
			more := append([]agent.Tool{{Name: "smell"}}, c.tools...)
			want := 0 // index of the run that is resumed
			if twin {
				other := newChat(t, c.g).user("what is there?")
				other.tools = more
				other.must(agent.ResumeNew, "")
				want = 1
			}
			c.tools = more
			c.result("call_1a", "A").result("call_1b", "B").result("call_1c", "C").rename(prefixed)
			c.send()
			for i, r := range fake.Runs() {
				if resumed := len(r.Results()) > 0; resumed != (i == want) {
					t.Errorf("run %d was resumed: %v", i, resumed)
				}
			}
		})
	}
}

// An earlier result of the same group is part of what the run has seen.
func TestARenamedRunHasSeenItsEarlierResults(t *testing.T) {
	fake := rounds()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "")
	c.result("call_1a", "A").result("call_1b", "B").result("call_1c", "C").must(agent.ResumeParked, "")
	other := c.result("call_1d", "D").fork()
	other.rename(prefixed)
	other.history[2].Parts = []agent.Part{{Text: "another"}}
	other.must(agent.ResumeTranscript, "from the transcript")
	c.must(agent.ResumeParked, "seen")
}

func TestARunThatItsConversationLeavesBehindIsClosedAtOnce(t *testing.T) {
	moveOn := func(c *chat) {
		c.result("call_1a", "A").result("call_1b", "B")
		c.history = append(c.history, agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: "stopped by the user"}}})
		c.user("something else")
	}
	again := func(c *chat) { c.history = c.history[:1]; c.user("no, wait") }
	for name, tc := range map[string]struct {
		session string
		next    func(*chat)
		closed  bool
	}{
		"the calls are in the past":      {"", moveOn, true},
		"asked again in the session":     {"s1", askAgain, true},
		"asked again without a session":  {"", askAgain, false},
		"another opening in the session": {"s1", again, false},
		"another session":                {"s1", func(c *chat) { askAgain(c); c.session = "s2" }, false},
		"another owner":                  {"s1", func(c *chat) { moveOn(c); c.owner = "bob" }, false},
		"a title for the session":        {"s1", func(c *chat) { askAgain(c); c.tools = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := rounds()
				g := New(Config{Backends: []agent.Backend{fake}})
				defer g.Close(context.Background())
				c := newChat(t, g).user("what is there?")
				c.session = tc.session
				c.must(agent.ResumeNew, "")
				tc.next(c)
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

// askAgain is a client that asks once more, as if there had been no answer.
func askAgain(c *chat) { c.history = c.history[:1] }
