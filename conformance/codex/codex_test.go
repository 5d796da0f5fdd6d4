// Package codex lets Codex, without its user interface, complete tasks by way of the gateway's Responses API.
package codex

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// settings is Codex's config.toml with the gateway's address left out.
const settings = `model = "composer-2.5"
model_provider = "gw"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.gw]
name = "Gateway"
base_url = "%[1]s/v1"
env_key = "GW_KEY"
wire_api = "responses"
model_catalog_url = "%[1]s/v1/models"
`

// A codex is Codex in front of a gateway and a simulator of its own.
type codex struct {
	*harness.Agent
	t        *testing.T
	sim      *harness.Sim
	recorder *harness.Recorder
	settings string // config.toml, with the gateway's address left out
}

func newCodex(t *testing.T, script string) *codex {
	t.Helper()
	sim := harness.StartSim(t)
	sim.Play(script)
	return &codex{harness.NewAgent(t), t, sim, harness.StartRecorder(t, harness.StartGateway(t, sim)), settings}
}

// run gives Codex a prompt and returns the messages that it prints.
func (c *codex) run(prompt string, args ...string) []string {
	c.t.Helper()
	c.WriteFile(c.Home+"/config.toml", fmt.Sprintf(c.settings, c.recorder.URL))
	args = append([]string{"exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access", "--disable", "plugins"}, args...)
	out := c.Run(harness.Installed(c.t, "@openai/codex-PLATFORM/vendor/*/bin/codex"),
		[]string{"CODEX_HOME=" + c.Home, "GW_KEY=" + harness.Key, "CODEX_API_KEY=" + harness.Key}, append(args, prompt)...)
	var messages []string
	for line := range strings.Lines(out) {
		var event struct {
			Type string
			Item struct{ Type, Text string }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			c.t.Fatalf("Codex printed %q", line)
		}
		if event.Type == "item.completed" && event.Item.Type == "agent_message" {
			messages = append(messages, event.Item.Text)
		}
	}
	if len(messages) == 0 {
		c.t.Fatalf("Codex said nothing:\n%s", out)
	}
	return messages
}

// wantOneRun fails the test unless Codex needed so many requests for its turns, and upstream saw one run that did all
// that the script expects.
func (c *codex) wantOneRun(requests, calls int) {
	c.t.Helper()
	if n := len(c.recorder.Exchanges("/v1/responses")); n != requests {
		c.t.Errorf("Codex sent %d requests, want %d", n, requests)
	}
	c.wantRun(calls)
}

// wantRun fails the test unless upstream saw one run that did all that the script expects.
func (c *codex) wantRun(calls int) {
	c.t.Helper()
	runs := c.sim.AwaitIdle()
	if len(runs) != 1 || runs[0].End != "well" || len(runs[0].Failures) > 0 || len(runs[0].Calls()) != calls {
		c.t.Errorf("want one run with %d calls, got\n%s", calls, harness.Summary(runs))
	}
	if wrong := c.sim.Violations(); len(wrong) > 0 {
		c.t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
}

// TestCodexEditsAFile uses the three kinds of tools that Codex offers: a function, a custom tool whose input is no
// JSON, and one of a namespace.
func TestCodexEditsAFile(t *testing.T) {
	t.Parallel()
	c := newCodex(t, `
turn
expect prompt Correct the list.
think I look at it first.
call exec_command {"cmd":"cat list.txt"}
expect result 1 17
text The second number is wrong.
call apply_patch {"input":"*** Begin Patch\n*** Update File: list.txt\n@@\n 17\n-25\n+26\n*** End Patch\n"}
expect result 2 list.txt
calls 2
call exec_command {"cmd":"cat list.txt"}
call multi_agent_v1__close_agent {"target":"nobody"}
end
expect result 3 26
expect result 4 nobody
text It is 26 now.
usage input=900 output=80 cache_read=5000 reasoning=10
`)
	c.WriteFile(c.Work+"/list.txt", "17\n25\n")
	messages := c.run("Correct the list.")
	c.WantFile(c.Work+"/list.txt", "17\n26\n")
	if last := messages[len(messages)-1]; last != "It is 26 now." {
		t.Errorf("Codex ends with %q", last)
	}
	c.wantOneRun(4, 4)
}

func TestCodexAsksForASchema(t *testing.T) {
	t.Parallel()
	c := newCodex(t, `
turn
expect prompt colour
call exec_command {"cmd":"echo green"}
text {"colour":"green"}
`)
	schema := c.Home + "/schema.json"
	c.WriteFile(schema, `{"type":"object","properties":{"colour":{"type":"string"}},"required":["colour"],"additionalProperties":false}`)
	messages := c.run("Which one?", "--output-schema", schema)
	if last := messages[len(messages)-1]; last != `{"colour":"green"}` {
		t.Errorf("Codex ends with %q", last)
	}
	c.wantOneRun(2, 1)
}

// TestCodexGetsWhatFitsTheSchema has the model answer with a fence and a wrong type first, after a tool call. Codex passes on
// what it gets, unread: whoever reads it must not meet anything else.
func TestCodexGetsWhatFitsTheSchema(t *testing.T) {
	t.Parallel()
	c := newCodex(t, `
turn
expect prompt colour
text I look at it first.
call exec_command {"cmd":"echo green"}
checkpoint
text "\x60\x60\x60json\n{\"colour\": 5}\n\x60\x60\x60"
turn when continued
expect prompt /colour: got number, want string
text Here you are: {"colour":"green"}
`)
	schema := c.Home + "/schema.json"
	c.WriteFile(schema, `{"type":"object","properties":{"colour":{"type":"string"}},"required":["colour"],"additionalProperties":false}`)
	messages := c.run("Which one?", "--output-schema", schema)
	if last := messages[len(messages)-1]; last != `{"colour":"green"}` {
		t.Errorf("Codex ends with %q", last)
	}
	if n := len(c.recorder.Exchanges("/v1/responses")); n != 2 {
		t.Errorf("Codex sent %d requests, want 2", n)
	}
	runs := c.sim.AwaitIdle()
	if len(runs) != 2 || !runs[1].Continued || runs[1].ConversationID != runs[0].ConversationID || len(runs[0].Failures)+len(runs[1].Failures) > 0 {
		t.Errorf("the second attempt is not one message in the same conversation\n%s", harness.Summary(runs))
	}
}

// TestCodexContinuesAConversation closes Codex between two prompts. What it sends of the first turn when it is back is
// all that the gateway has to find upstream's conversation by.
func TestCodexContinuesAConversation(t *testing.T) {
	t.Parallel()
	c := newCodex(t, `
turn
think I read it.
text I read.
call exec_command {"cmd":"cat list.txt"}
think Two numbers.
text There are two numbers.
turn when continued
text They are 17 and 25.
`)
	c.WriteFile(c.Work+"/list.txt", "17\n25\n")
	c.run("Read list.txt.")
	messages := c.run("Which are they?", "resume", "--last")
	if last := messages[len(messages)-1]; last != "They are 17 and 25." {
		t.Errorf("Codex ends with %q", last)
	}
	runs := c.sim.AwaitIdle()
	if len(runs) != 2 || !runs[1].Continued || runs[1].ConversationID != runs[0].ConversationID {
		t.Errorf("the conversation was not continued\n%s", harness.Summary(runs))
	} else if strings.Contains(runs[1].Prompt, "Read list.txt.") {
		t.Errorf("the second turn repeats the first:\n%s", runs[1].Prompt)
	}
}

// TestCodexCompactsItsConversation lets Codex find the conversation too long while a run is parked: it asks for a
// summary of what was done, and then goes on from that. The request for the summary carries the call's result and no tools:
// the parked run gets both, and writes the summary. What follows is a new conversation.
func TestCodexCompactsItsConversation(t *testing.T) {
	t.Parallel()
	c := newCodex(t, `
turn
call exec_command {"cmd":"cat list.txt"}
expect result 1 17
expect result 1 CONTEXT CHECKPOINT COMPACTION
text SUMMARY: the list was read.
turn
expect prompt SUMMARY: the list was read.
text There are two numbers.
`)
	c.WriteFile(c.Work+"/list.txt", "17\n25\n")
	messages := c.run("Read list.txt.", "-c", "model_auto_compact_token_limit=2000")
	if last := messages[len(messages)-1]; last != "There are two numbers." {
		t.Errorf("Codex ends with %q", last)
	}
	if n := len(c.recorder.Exchanges("/v1/responses")); n != 3 {
		t.Errorf("Codex sent %d requests, want 3", n)
	}
	var ends []string
	runs := c.sim.AwaitIdle()
	for _, r := range runs {
		ends = append(ends, r.End)
		if len(r.Failures) > 0 || r.Continued {
			t.Errorf("%v\nthe prompt is\n%s", r.Failures, r.Prompt)
		}
	}
	if !slices.Equal(ends, []string{"well", "well"}) {
		t.Errorf("the runs went\n%s", harness.Summary(runs))
	}
}
