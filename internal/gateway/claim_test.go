package gateway

import (
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

func TestAUserMessageInPlaceOfTheResultsGoesToTheSameRun(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "let me see ")
	c.user("never mind").must(agent.ResumeParked, "seen")
	wantResults(t, fake.Runs()[0], "call_1 error=true The client gave no result for this call.",
		"call_2 error=true The client gave no result for this call., and the user says never mind")
}

// A request that brings no result, and asks for what the waiting run was not begun for, is no interruption of that run.
func TestAMessageInPlaceOfTheResultsThatAsksForSomethingElseStartsAfresh(t *testing.T) {
	number, integer := agent.Format{Kind: agent.JSONSchema, Schema: []byte(`{"type":"number"}`)}, agent.Format{Kind: agent.JSONSchema, Schema: []byte(`{"type":"integer"}`)}
	for name, tc := range map[string]struct {
		before agent.Format
		ask    func(*chat)
		resume agent.Resume
	}{
		"a schema":                   {agent.Format{}, func(c *chat) { c.user("as a number").format = number }, agent.ResumeTranscript},
		"the schema of the run":      {number, func(c *chat) { c.user("never mind") }, agent.ResumeParked},
		"another schema":             {number, func(c *chat) { c.user("as an integer").format = integer }, agent.ResumeTranscript},
		"no schema any more":         {number, func(c *chat) { c.user("in words").format = agent.Format{} }, agent.ResumeTranscript},
		"no tools":                   {agent.Format{}, func(c *chat) { c.user("a title?").tools = nil }, agent.ResumeTranscript},
		"tool_choice none":           {agent.Format{}, func(c *chat) { c.user("a title?").choice.Mode = agent.ToolsNone }, agent.ResumeTranscript},
		"a tool":                     {agent.Format{}, func(c *chat) { c.user("listen").choice.Mode = agent.ToolsRequired }, agent.ResumeParked},
		"no tools, with one result":  {agent.Format{}, func(c *chat) { c.result("call_1", "a").user("hurry").tools = nil }, agent.ResumeParked},
		"a schema, with all results": {agent.Format{}, func(c *chat) { c.result("call_1", "a").result("call_2", "b").format = number }, agent.ResumeParked},
		"a schema, and renamed results": {agent.Format{}, func(c *chat) {
			c.rename(prefixed).result("toolu_call_1", "a").result("toolu_call_2", "b").format = number
		}, agent.ResumeParked},
		"a schema, and renamed calls": {agent.Format{}, func(c *chat) { c.rename(prefixed).user("as a number").format = number }, agent.ResumeTranscript},
	} {
		t.Run(name, func(t *testing.T) {
			first := true
			fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
				if !first {
					return backendtest.Turns{{backendtest.Say("1"), backendtest.End("")}}, nil
				}
				first = false
				return backendtest.Turns{
					{backendtest.CallTool("call_1", "look", `{"at": 1}`), backendtest.CallTool("call_2", "listen", `{}`), backendtest.Wait()},
					{backendtest.CallTool("call_3", "listen", `{}`), backendtest.Wait()},
				}, nil
			})
			c := newChat(t, newGateway(t, fake)).user("what is there?")
			c.format = tc.before
			c.must(agent.ResumeNew, "")
			tc.ask(c)
			r, err := c.send()
			if err != nil || r.accepted[0].Resume != tc.resume {
				t.Fatalf("%+v, %v; want resume %q", r.accepted, err, tc.resume)
			}
			// By a claim by ids the run is closed then. Of calls that were renamed nobody knows that they are its own.
			if closed := fake.Runs()[0].IsClosed(); closed != (tc.resume == agent.ResumeTranscript && name != "a schema, and renamed calls") {
				t.Errorf("closed: %v", closed)
			}
		})
	}
}
