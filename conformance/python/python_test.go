// Package python lets clients written in Python do a task with tools by way of the gateway. Each is a script in
// testdata, which prints the model's last words to each of two prompts.
package python

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// paths are where the requests of each surface go.
var paths = map[string]string{"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}

// task is what the model does: it thinks, talks, and calls tools one at a time and two at once. The numbers are such
// that no result is like another.
const task = `
turn
expect tools add
expect prompt Add up.
think I need the tool for this.
text "I add. "
call add {"a":1,"b":2}
expect result 1 3
think Two more sums.
calls 2
call add {"a":10,"b":20}
call add {"a":100,"b":200}
end
expect result 2 30
expect result 3 300
text "The sums are {result 1}, {result 2} and {result 3}."
usage input=900 output=80 cache_read=500 reasoning=20
turn when continued
expect prompt And now?
text Nothing.
`

// requests is how many requests the task takes: the prompt, the first result, the two others, and the second prompt.
const requests = 4

// wantRuns is what upstream sees: the tool loop is one run, and the second prompt goes on in its conversation.
const wantRuns = `run 1: composer-2.5;fast=false, tools add, end well
  mcp add: "3"
  mcp add: "30"
  mcp add: "300"
run 2: composer-2.5;fast=false, continued, tools add, end well
`

// TestAToolLoopIsOneRun lets each client run the whole loop by its own means, and then say one thing more. To go on,
// upstream must get the results on the run that asked for them. A new run, or a new conversation, would mean that the
// gateway did not recognise what the client sends back.
func TestAToolLoopIsOneRun(t *testing.T) {
	for _, client := range []struct {
		script  string // in testdata, without .py
		surface string
		stream  bool
	}{
		{"anthropic_messages", "messages", false},
		{"anthropic_messages", "messages", true},
		{"anthropic_tool_runner", "messages", false},
		{"anthropic_tool_runner", "messages", true},
		{"pydantic_ai_agent", "messages", false},
		{"pydantic_ai_agent", "messages", true},
		{"litellm_chat", "messages", false},
		{"litellm_chat", "messages", true},
		{"openai_chat", "chat", false},
		{"openai_chat_stream", "chat", true},
		{"openai_responses", "responses", false},
		{"openai_responses_stream", "responses", true},
		{"pydantic_ai_agent", "chat", false},
		{"pydantic_ai_agent", "chat", true},
		{"pydantic_ai_agent", "responses", false},
		{"pydantic_ai_agent", "responses", true},
		{"litellm_chat", "chat", false},
		{"litellm_chat", "chat", true},
		{"langchain_chat", "chat", false},
		{"langchain_chat", "chat", true},
		{"langchain_chat", "responses", false},
		{"langchain_chat", "responses", true},
		{"openai_agents", "chat", false},
		{"openai_agents", "chat", true},
		{"openai_agents", "responses", false},
		{"openai_agents", "responses", true},
	} {
		t.Run(fmt.Sprintf("%s %s stream=%t", client.script, client.surface, client.stream), func(t *testing.T) {
			t.Parallel()
			sim := harness.StartSim(t)
			sim.Play(task)
			recorder := harness.StartRecorder(t, harness.StartGateway(t, sim))
			env := []string{
				"BASE_URL=" + recorder.URL + "/v1", "ROOT_URL=" + recorder.URL, "API_KEY=" + harness.Key, "SURFACE=" + client.surface,
				"LITELLM_LOCAL_MODEL_COST_MAP=True", // or it looks for a list of prices on the network
			}
			if client.stream {
				env = append(env, "STREAM=1")
			}
			out := harness.RunPython(t, "testdata/"+client.script+".py", env...)

			if want := "The sums are 3, 30 and 300.\nNothing.\n"; out != want {
				t.Errorf("the client prints %q, want %q", out, want)
			}
			exchanges := withoutThreads(recorder.Exchanges(paths[client.surface]))
			if len(exchanges) != requests {
				t.Errorf("the client sent %d requests, want %d", len(exchanges), requests)
			}
			for i, e := range exchanges {
				if e.Status != 200 {
					t.Errorf("request %d was answered with %d: %s", i+1, e.Status, e.Answer)
				}
				var body struct{ Stream bool }
				if err := json.Unmarshal(e.Body, &body); err != nil || body.Stream != client.stream {
					t.Errorf("request %d asks for a stream: %t (%v), want %t", i+1, body.Stream, err, client.stream)
				}
			}
			runs := sim.AwaitIdle()
			if got := harness.Summary(runs); got != wantRuns {
				t.Errorf("the runs are\n%swant\n%s", got, wantRuns)
			} else if runs[1].ConversationID != runs[0].ConversationID || strings.Contains(runs[1].Prompt, "Add up.") {
				t.Errorf("the second prompt is %q, and its conversation %s, want %s", runs[1].Prompt, runs[1].ConversationID, runs[0].ConversationID)
			}
			if wrong := sim.Violations(); len(wrong) > 0 {
				t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
			}
		})
	}
}

// withoutThreads leaves out the requests in which Anthropic's tool runner asks for a thread, which are refused: it sends one
// at the beginning of each of its loops, and then goes on without.
func withoutThreads(exchanges []harness.Exchange) []harness.Exchange {
	return slices.DeleteFunc(exchanges, func(e harness.Exchange) bool {
		return e.Status == 400 && strings.Contains(string(e.Body), `"thread"`) && strings.Contains(string(e.Answer), "thread_unsupported_request")
	})
}

// TestEveryAnswerIsOfItsDeclaredType has the SDKs check them: they do so only when asked, and other clients rely on those
// types without checking.
func TestEveryAnswerIsOfItsDeclaredType(t *testing.T) {
	for _, script := range []string{"openai_strict", "anthropic_strict"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			wantDone(t, script)
		})
	}
}

func wantDone(t *testing.T, script string) {
	sim := harness.StartSim(t)
	sim.Play(`
turn always when prompt "Call patch."
calls 2
call patch {"input":"*** a patch"}
call look {}
end
turn always when prompt "Refuse."
error resource_exhausted Too much.
turn always when prompt "Be busy."
error unavailable Busy.
turn always when prompt "Call shell."
call shell {"commands":["ls"]}
text It is there.
turn always when prompt "Fail."
think Oh.
text "It begins. "
error resource_exhausted Too much.
turn always
think Two numbers.
text {"a":1,
text "\"b\":2}"
usage input=30 output=10 cache_read=5 reasoning=3
`)
	gateway := harness.StartGateway(t, sim)
	failure := "Too much."
	if os.Getenv(harness.UpstreamVariable) == "sdkbridge" {
		// The bridge begins again by itself after such an error, and doesn't say what it was.
		failure = "The connection to Cursor broke in the middle of the answer. Please try again."
	}
	env := []string{"BASE_URL=" + gateway.BaseURL(), "ROOT_URL=" + gateway.URL, "API_KEY=" + harness.Key, "FAILURE=" + failure}
	if out := harness.RunPython(t, "testdata/"+script+".py", env...); out != "done\n" {
		t.Errorf("the client prints %q", out)
	}
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
}

// TestUsageIsAddedUp has a client add up the usage of a tool loop, of which the turns with calls are estimated. What says
// so must not be among the numbers: Python takes True for 1. The sum is what upstream says, 900 new and 500 cached tokens.
func TestUsageIsAddedUp(t *testing.T) {
	for _, surface := range []string{"chat", "responses"} {
		t.Run(surface, func(t *testing.T) {
			t.Parallel()
			sim := harness.StartSim(t)
			sim.Play(task)
			recorder := harness.StartRecorder(t, harness.StartGateway(t, sim))
			out := harness.RunPython(t, "testdata/pydantic_ai_usage.py",
				"BASE_URL="+recorder.URL+"/v1", "API_KEY="+harness.Key, "SURFACE="+surface)
			if want := "3 1400 80\n[]\n"; out != want {
				t.Errorf("the client prints %q, want %q", out, want)
			}
			estimated := 0
			for _, e := range recorder.Exchanges(paths[surface]) {
				if strings.Contains(string(e.Answer), `"usage_estimated":true`) {
					estimated++
				}
			}
			if estimated == 0 {
				t.Error("no answer says that its usage is estimated")
			}
		})
	}
}

// TestLegacyCompletions has the clients that still call POST /v1/completions do so, in every form that they know.
func TestLegacyCompletions(t *testing.T) {
	sim := harness.StartSim(t)
	sim.Play(`
turn always
text " upon"
text " a time."
usage input=30 output=10 cache_read=5 reasoning=3
`)
	gateway := harness.StartGateway(t, sim)
	out := harness.RunPython(t, "testdata/legacy_completions.py", "BASE_URL="+gateway.BaseURL(), "API_KEY="+harness.Key, "LITELLM_LOCAL_MODEL_COST_MAP=True")
	const want = `text_completion stop 'Once upon a time.' 45
[(0, ' upon a time.'), (1, ' upon a time.')] 90
 upon a time. stop 45
suffix unsupported_parameter
litellm:  upon a time. 45
litellm:  upon a time.
langchain: [' upon a time.', ' upon a time.']
langchain:  upon a time.
`
	if out != want {
		t.Errorf("the clients print\n%swant\n%s", out, want)
	}
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
}
