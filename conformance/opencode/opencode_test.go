// Package opencode lets OpenCode, without its user interface, complete a task by way of the gateway.
package opencode

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// OpenCode's own settings, so that it needs nothing but the gateway.
var settings = []string{
	"OPENCODE_DISABLE_MODELS_FETCH=1", "OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_LSP_DOWNLOAD=1",
	"OPENCODE_DISABLE_DEFAULT_PLUGINS=1", "OPENCODE_DISABLE_PROJECT_CONFIG=1",
}

// A config is OpenCode's configuration, as far as it is needed here.
type config struct {
	AutoUpdate bool                `json:"autoupdate"`
	Share      string              `json:"share"`
	Model      string              `json:"model"`
	SmallModel string              `json:"small_model"`
	Provider   map[string]provider `json:"provider"`
}

type provider struct {
	NPM     string           `json:"npm"`
	Name    string           `json:"name"`
	Options options          `json:"options"`
	Models  map[string]model `json:"models"`
}

type options struct {
	BaseURL string `json:"baseURL"`
	APIKey  string `json:"apiKey"`
}

type model struct {
	Name        string            `json:"name"`
	ToolCall    bool              `json:"tool_call"`
	Reasoning   bool              `json:"reasoning"`
	Interleaved map[string]string `json:"interleaved"`
	Limit       map[string]int    `json:"limit"`
}

// A surface is a way that OpenCode can reach the gateway.
type surface struct {
	name string
	npm  string // the provider package
	base string // path of the base URL
	path string // where the turns go
	runs int    // how many runs upstream the task takes
}

// task is what the model does: it looks at the folder, two tools at a time, writes a file and runs a command.
func task(work string) string {
	call := func(tool string, args map[string]string) string {
		data, _ := json.Marshal(args)
		return fmt.Sprintf("call %s %s\n", tool, data)
	}
	return `
turn always when not tools
text Adding up a list
turn
expect tools write
expect prompt Add up
think I look first.
text "I look at the list. "
calls 2
` + call("read", map[string]string{"filePath": work + "/list.txt"}) + call("bash", map[string]string{"command": "ls"}) + `
end
expect result 1 17
expect result 2 list.txt
` + call("write", map[string]string{"filePath": work + "/sum.txt", "content": "42\n"}) +
		call("bash", map[string]string{"command": "cat sum.txt list.txt | wc -l", "description": "Counts lines"}) + `
expect result 4 3
text The sum is 42, and wc said {result 4}
usage input=900 output=80 cache_read=5000
`
}

// requests is how many requests OpenCode makes: for the title; and for the task at first, after the two results, after
// the write and after the command.
const requests = 5

func TestOpenCodeCompletesATask(t *testing.T) {
	for _, s := range []surface{
		{"chat", "@ai-sdk/openai-compatible", "/v1", "/v1/chat/completions", 1},
		{"responses", "@ai-sdk/openai", "/v1", "/v1/responses", 1},
		{"opencodev2", "@ai-sdk/openai-compatible", "/opencodev2/v1", "/opencodev2/v1/chat/completions", 1},
		// The older endpoint has no calls that wait: every request is a run that is told the transcript.
		{"opencode", "@ai-sdk/openai-compatible", "/opencode/v1", "/opencode/v1/chat/completions", requests - 1},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			sim := harness.StartSim(t)
			recorder := harness.StartRecorder(t, harness.StartGateway(t, sim))
			agent := harness.NewAgent(t)
			sim.Play(task(agent.Work))
			texts := runOpenCode(t, agent, recorder, s, "Add up the numbers in list.txt.")

			agent.WantFile(agent.Work+"/sum.txt", "42\n")
			if last := texts[len(texts)-1]; !strings.HasPrefix(last, "The sum is 42, and wc said 3") {
				t.Errorf("OpenCode ends with %q", last)
			}
			if n := len(recorder.Exchanges(s.path)); n != requests {
				t.Errorf("OpenCode sent %d requests, want %d", n, requests)
			}
			wantRuns(t, sim, s.runs)
		})
	}
}

// TestOpenCodeContinuesAConversation closes OpenCode between two prompts. What it sends of the first turn when it is
// back is all that the gateway has to find upstream's conversation by.
func TestOpenCodeContinuesAConversation(t *testing.T) {
	for _, s := range []surface{
		{"chat", "@ai-sdk/openai-compatible", "/v1", "/v1/chat/completions", 1},
		{"responses", "@ai-sdk/openai", "/v1", "/v1/responses", 1},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			sim := harness.StartSim(t)
			recorder := harness.StartRecorder(t, harness.StartGateway(t, sim))
			agent := harness.NewAgent(t)
			sim.Play(`
turn always when not tools
text Reading a list
turn
think I read it.
text "I read. "
call read {"filePath":"` + agent.Work + `/list.txt"}
think Two numbers.
text There are two numbers.
turn when continued
text They are 17 and 25.
`)
			runOpenCode(t, agent, recorder, s, "Read list.txt.")
			texts := runOpenCode(t, agent, recorder, s, "Which are they?", "--continue")
			if last := texts[len(texts)-1]; last != "They are 17 and 25." {
				t.Errorf("OpenCode ends with %q", last)
			}
			runs := slices.DeleteFunc(sim.AwaitIdle(), func(r harness.Run) bool { return len(r.Tools) == 0 })
			if len(runs) != 2 || !runs[1].Continued || runs[1].ConversationID != runs[0].ConversationID {
				t.Errorf("the conversation was not continued\n%s", harness.Summary(runs))
			} else if strings.Contains(runs[1].Prompt, "Read list.txt.") {
				t.Errorf("the second turn repeats the first:\n%s", runs[1].Prompt)
			}
		})
	}
}

// runOpenCode gives OpenCode a prompt in a folder that holds list.txt, and returns the texts that it prints.
func runOpenCode(t *testing.T, agent *harness.Agent, recorder *harness.Recorder, s surface, prompt string, flags ...string) []string {
	t.Helper()
	data, err := json.Marshal(config{
		Share: "disabled", Model: "gw/composer-2.5", SmallModel: "gw/composer-2.5",
		Provider: map[string]provider{"gw": {
			NPM: s.npm, Name: "Gateway", Options: options{recorder.URL + s.base, harness.Key},
			Models: map[string]model{"composer-2.5": {
				Name: "Composer", ToolCall: true, Reasoning: true, Interleaved: map[string]string{"field": "reasoning_content"},
				Limit: map[string]int{"context": 200_000, "output": 32_000},
			}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	agent.WriteFile(agent.Home+"/opencode.json", string(data))
	agent.WriteFile(agent.Work+"/list.txt", "17\n25\n")
	out := agent.Run(harness.Installed(t, "opencode-PLATFORM/bin/opencode"),
		slices.Concat(settings, []string{"OPENCODE_CONFIG=" + agent.Home + "/opencode.json"}),
		slices.Concat([]string{"run", "--pure", "--format", "json", "--auto", "-m", "gw/composer-2.5"}, flags, []string{prompt})...)
	var texts []string
	for line := range strings.Lines(out) {
		var event struct {
			Type string
			Part struct{ Text string }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("OpenCode printed %q", line)
		}
		if event.Type == "text" {
			texts = append(texts, event.Part.Text)
		}
	}
	if len(texts) == 0 {
		t.Fatal("OpenCode printed no text")
	}
	return texts
}

// wantRuns fails the test unless upstream saw a run for the title and so many for the task, which went as the script
// expects, and in another conversation than the title's.
func wantRuns(t *testing.T, sim *harness.Sim, want int) {
	t.Helper()
	runs := sim.AwaitIdle()
	var titles, tasks []harness.Run
	for _, r := range runs {
		if len(r.Tools) == 0 {
			titles = append(titles, r)
		} else {
			tasks = append(tasks, r)
		}
		if r.End != "well" || len(r.Failures) > 0 {
			t.Errorf("the runs went\n%s", harness.Summary(runs))
		}
	}
	if len(titles) != 1 || len(tasks) != want {
		t.Fatalf("want a run for the title and %d for the task, got\n%s", want, harness.Summary(runs))
	}
	for _, r := range tasks {
		if r.ConversationID != tasks[0].ConversationID || r.ConversationID == titles[0].ConversationID {
			t.Errorf("the title and the task mix their conversations\n%s", harness.Summary(runs))
		}
	}
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
}
