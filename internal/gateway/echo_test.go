package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

func TestWhatClientsAddToAnswersIsRemoved(t *testing.T) {
	call := agent.ToolCall{ID: "call_1", Name: "look", Arguments: []byte(`{"at":1}`)}
	for name, c := range map[string]struct {
		parts []string
		calls []agent.ToolCall
		want  string
	}{
		"thinking":                         {[]string{"<think>\nHm.\n</think>\n\nYes."}, nil, "Yes."},
		"thinking as a part of its own":    {[]string{"<think>Hm.</think>", "Yes."}, nil, "Yes."},
		"thinking alone":                   {[]string{"<think>Hm.</think>"}, []agent.ToolCall{call}, ""},
		"thinking between two answers":     {[]string{"So.", "<think>Hm.</think>Yes."}, nil, "So.Yes."},
		"n8n's announcement":               {[]string{`Calling look with input: {"at":1,"id":"call_1"}`}, []agent.ToolCall{call}, ""},
		"an announcement of another tool":  {[]string{`Calling listen with input: {"at":1}`}, []agent.ToolCall{call}, `Calling listen with input: {"at":1}`},
		"an announcement without the call": {[]string{`Calling look with input: {"at":1}`}, nil, `Calling look with input: {"at":1}`},
		"an answer":                        {[]string{"Close it with </think>."}, nil, "Close it with </think>."},
	} {
		sent := []agent.Message{{Role: agent.Assistant, Calls: c.calls}}
		for _, p := range c.parts {
			sent[0].Parts = append(sent[0].Parts, agent.Part{Text: p})
		}
		got := withoutEchoes(sent)
		if text := got[0].Text(); text != c.want {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
		if len(sent[0].Parts) != len(c.parts) || sent[0].Parts[0].Text != c.parts[0] {
			t.Errorf("%s: the client's own messages were changed", name)
		}
	}
	user := []agent.Message{{Role: agent.User, Parts: []agent.Part{{Text: "<think>x</think>"}}}}
	if got := withoutEchoes(user); got[0].Text() != "<think>x</think>" {
		t.Errorf("the user's text became %q", got[0].Text())
	}
}

// Whatever a client makes of the answer that it sends back with results, its run goes on, and so does the conversation
// that follows.
func TestAnEchoThatDiffersKeepsItsRun(t *testing.T) {
	for name, change := range map[string]func(m *agent.Message){
		"as it was":           func(*agent.Message) {},
		"with our thinking":   func(m *agent.Message) { m.Parts[0].Text = "<think>\nHm.\n</think>\n\n" + m.Parts[0].Text },
		"with thinking, bare": func(m *agent.Message) { m.Parts[0].Text = "Hm.\n\n" + m.Parts[0].Text },
		"without the text":    func(m *agent.Message) { m.Parts = nil },
		"with n8n's text":     func(m *agent.Message) { m.Parts[0].Text = `Calling look with input: {"at":1,"id":"call_1"}` },
		"with n8n's id, too":  func(m *agent.Message) { m.Parts = nil; m.Calls[0].Arguments = []byte(`{"at":1,"id":"call_1"}`) },
		"with what was given": func(m *agent.Message) { m.Calls[1].Arguments = []byte(`{"input":"x"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			once := false
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				if req.Continue != nil {
					return backendtest.Turns{{backendtest.Say("continued"), backendtest.End("agent-2")}}, nil
				}
				if once {
					return backendtest.Turns{{backendtest.Say("from the transcript"), backendtest.End("")}}, nil
				}
				once = true
				return backendtest.Turns{
					{backendtest.Think("Hm."), backendtest.Say("let me see "), backendtest.CallTool("call_1", "look", `{"at":1}`), backendtest.CallTool("call_2", "listen", `{"patch":"x"}`), backendtest.Wait()},
					{backendtest.Think("Oh."), backendtest.Say("and more "), backendtest.CallTool("call_3", "look", `{}`), backendtest.Wait()},
					{backendtest.Say("seen"), backendtest.End("agent-1")},
				}, nil
			})
			c := newChat(t, newGateway(t, fake)).user("what is there?")
			if name == "with what was given" {
				c.echo = func(call *agent.ToolCall) json.RawMessage {
					return json.RawMessage(strings.Replace(string(call.Arguments), "patch", "input", 1))
				}
			}
			c.must(agent.ResumeNew, "let me see ")
			c.history[1].Calls = append([]agent.ToolCall(nil), c.history[1].Calls...)
			change(&c.history[1])
			c.result("call_1", "a").result("call_2", "b").must(agent.ResumeParked, "and more ")
			if c.history[1].Parts == nil || strings.Contains(name, "n8n") {
				c.history[len(c.history)-1].Parts = nil // a client that leaves text out does so always
			}
			if name == "with thinking, bare" {
				said := &c.history[len(c.history)-1]
				said.Parts = []agent.Part{{Text: "Oh."}, {Text: said.Text()}}
			}
			c.result("call_3", "c").must(agent.ResumeParked, "seen")
			c.user("and there?").must(agent.ResumeMemory, "continued")
			if len(fake.Runs()) != 2 {
				t.Errorf("%d runs", len(fake.Runs()))
			}
		})
	}
}

// An answer that itself begins like thinking that is sent back is the same conversation as well.
func TestAnAnswerThatLooksLikeThinkingIsContinued(t *testing.T) {
	for _, answer := range []string{"<think>I said so.</think>Yes.", "<think>never closed", "<thi", "<details>x</details>", " \n"} {
		fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
			if req.Continue != nil {
				return backendtest.Turns{{backendtest.Say("continued"), backendtest.End("")}}, nil
			}
			var said []backendtest.Step
			for _, r := range answer {
				said = append(said, backendtest.Say(string(r)))
			}
			return backendtest.Turns{append(said, backendtest.End("agent-1"))}, nil
		})
		c := newChat(t, newGateway(t, fake)).user("what is there?")
		c.must(agent.ResumeNew, answer)
		c.user("and there?").must(agent.ResumeMemory, "continued")
	}
}
