package gateway

import (
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

func TestChangedArgumentsAreTold(t *testing.T) {
	long := strings.Repeat("x", maxChanges)
	for _, tt := range []struct{ given, ran, want string }{
		{`{"a":1}`, `{"a":1}`, ""},
		{`{"a":1}`, `{ "a": 1.0, "added": false }`, ""},
		{`{"a":"1","b":"true"}`, `{"a":1,"b":true}`, ""},
		{`{"text":"a  \nb\n\n"}`, `{"text":"a\nb"}`, ""},
		{`{"a":null,"b":""}`, `{}`, ""},
		{`{"command":"cd /w && ls"}`, `{"command":"ls","timeout":5}`, `The client ran the call with these arguments instead of yours: {"command":"ls"}` + "\n\n"},
		{`{"b":1,"a":[1,2],"c":3}`, `{"a":[1],"c":3}`, `The client ran the call with these arguments instead of yours: {"a":[1],"b":null}` + "\n\n"},
		{`{"b":"x","a":"y"}`, `{"b":"` + long + `","a":"z"}`, "The client changed these arguments before it ran the call: a, b.\n\n"},
		{`{"a":1}`, `"not an object"`, ""},
	} {
		if got := changes([]byte(tt.given), []byte(tt.ran)); got != tt.want {
			t.Errorf("%s, then %.100s: %q, want %q", tt.given, tt.ran, got, tt.want)
		}
	}
}

// TestACallThatTheClientHasRewrittenKeepsItsRun is about Claude Code, which does that to most of its calls.
func TestACallThatTheClientHasRewrittenKeepsItsRun(t *testing.T) {
	rewrite := func(c *chat, arguments string) {
		last := &c.history[len(c.history)-1]
		last.Calls = append([]agent.ToolCall(nil), last.Calls...)
		last.Calls[0].Arguments = []byte(arguments)
	}
	newRounds := func() *backendtest.Fake {
		return backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
			if len(req.Messages) > 1 {
				return backendtest.Turns{{backendtest.Say("from the transcript"), backendtest.End("")}}, nil
			}
			return backendtest.Turns{
				{backendtest.CallTool("call_1", "look", `{"at":"cd /w && x"}`), backendtest.Wait()},
				{backendtest.CallTool("call_2", "look", `{"at":2}`), backendtest.CallTool("call_3", "listen", `{}`), backendtest.Wait()},
				{backendtest.Say("seen"), backendtest.End("agent-1")},
			}, nil
		})
	}
	fake := newRounds()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.rewrites = true
	c.must(agent.ResumeNew, "")
	rewrite(c, `{"at":"x","deep":false}`)
	c.result("call_1", "a").must(agent.ResumeParked, "")
	rewrite(c, `{"at":2,"deep":false}`)
	c.result("call_2", "b").result("call_3", "c").must(agent.ResumeParked, "seen")
	results := fake.Runs()[0].Results()
	if len(fake.Runs()) != 1 || len(results) != 2 {
		t.Fatalf("%d runs, results %v", len(fake.Runs()), results)
	}
	if first := results[0][0].Parts; len(first) != 2 || first[0].Text != `The client ran the call with these arguments instead of yours: {"at":"x"}`+"\n\n" || first[1].Text != "a" {
		t.Errorf("the first result is %v", first)
	}
	if second := results[1][0].Parts; len(second) != 1 || second[0].Text != "b" {
		t.Errorf("the second result is %v", second)
	}

	for name, change := range map[string]func(*chat){
		"a client that doesn't rewrite": func(c *chat) { c.rewrites = false },
		"an edited history":             func(c *chat) { c.history[0].Parts[0].Text = "what was there?" },
		"another tool":                  func(c *chat) { c.history[1].Calls[0].Name = "listen" },
		"another id":                    func(c *chat) { c.history[1].Calls[0].ID, c.history[2].CallID = "call_9", "call_9" },
	} {
		c := newChat(t, newGateway(t, newRounds())).user("what is there?")
		c.rewrites = true
		c.must(agent.ResumeNew, "")
		rewrite(c, `{"at":"x"}`)
		c.result("call_1", "a")
		change(c)
		t.Log(name)
		c.must(agent.ResumeTranscript, "from the transcript")
	}
}
