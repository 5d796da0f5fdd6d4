// Package agents lets coding agents that need only a few settings each complete the same task by way of the gateway: pi, Qwen
// Code and Cline. A row of the table is an agent on one surface. Those of which more is tested have a package of their own.
package agents

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// A client is a coding agent on one surface.
type client struct {
	name string
	path string // where its turns go
	// run lets the agent do what prompt says, without asking anybody, by way of the gateway at url. It returns what the
	// agent printed.
	run func(t *testing.T, agent *harness.Agent, url, prompt string) string
	// The tools by which it reads a file, runs a command and edits a file, with their arguments, for files below a folder.
	read, command, edit func(work string) string
}

var clients = []client{
	pi("openai-completions", "/v1/chat/completions"),
	pi("openai-responses", "/v1/responses"),
	qwen("openai", "/v1", "/v1/chat/completions"),
	qwen("openai-responses", "/v1", "/v1/responses"),
	qwen("anthropic", "", "/v1/messages"),
	cline(),
}

// TestAnAgentDoesItsTaskOnOneRun has an agent look at a file, run a command beside that, and edit the file. All of it is one
// run upstream: every request after the first brings results that a parked run waits for.
func TestAnAgentDoesItsTaskOnOneRun(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			harness.Offline(t, func(t *testing.T) { completeTask(t, c) })
		})
	}
}

func completeTask(t *testing.T, c client) {
	sim := harness.StartSim(t)
	recorder := harness.StartRecorder(t, harness.StartGateway(t, sim))
	agent := harness.NewAgent(t)
	list := filepath.Join(agent.Work, "list.txt")
	agent.WriteFile(list, "17\n25\n")
	sim.Play(`
turn
expect prompt Correct the list.
think I look at it first.
text Looking.
calls 2
call ` + c.read(agent.Work) + `
call ` + c.command(agent.Work) + `
end
expect result 1 25
expect result 2 two
call ` + c.edit(agent.Work) + `
expect result 3 list.txt
text It is 26 now.
`)
	if out := c.run(t, agent, recorder.URL, "Correct the list."); !strings.Contains(out, "It is 26 now.") {
		t.Errorf("the agent prints\n%s", out)
	}
	agent.WantFile(list, "17\n26\n")
	if n := len(recorder.Exchanges(c.path)); n != 3 {
		t.Errorf("the agent sent %d requests, want 3", n)
	}
	runs := sim.AwaitIdle()
	if len(runs) != 1 || runs[0].End != "well" || len(runs[0].Failures) > 0 || len(runs[0].Calls()) != 3 {
		t.Errorf("want one run with 3 calls, got\n%s", harness.Summary(runs))
	}
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
}

// call is a tool's name and its arguments, as a script has them.
func call(tool string, arguments any) string {
	data, err := json.Marshal(arguments)
	if err != nil {
		panic(err) // the arguments are ours
	}
	return tool + " " + string(data)
}

// node runs a program of this folder's packages with the Node of the tests.
func node(t *testing.T, agent *harness.Agent, program string, env []string, args ...string) string {
	t.Helper()
	program = harness.Installed(t, "../agents/node_modules/"+program)
	return agent.Run(harness.Node(t), env, append([]string{program}, args...)...)
}

// pi is the agent pi, which keeps its models in a file. --offline: no catalogue from elsewhere.
func pi(api, path string) client {
	return client{
		name: "pi " + api, path: path,
		run: func(t *testing.T, agent *harness.Agent, url, prompt string) string {
			settings := filepath.Join(agent.Home, "agent")
			if err := os.Mkdir(settings, 0o700); err != nil {
				t.Fatal(err)
			}
			agent.WriteFile(filepath.Join(settings, "models.json"), fmt.Sprintf(
				`{"providers":{"gw":{"baseUrl":"%s/v1","api":"%s","apiKey":"%s","models":[{"id":"composer-2.5","reasoning":true}]}}}`, url, api, harness.Key))
			return node(t, agent, "@earendil-works/pi-coding-agent/dist/bundle/cli.js", []string{"PI_CODING_AGENT_DIR=" + settings},
				"--provider", "gw", "--model", "composer-2.5", "--offline", "--print", "--mode", "json", prompt)
		},
		read:    func(string) string { return call("read", map[string]string{"path": "list.txt"}) },
		command: func(string) string { return call("bash", map[string]string{"command": "echo two"}) },
		edit: func(string) string {
			return call("edit", map[string]any{"path": "list.txt", "edits": []map[string]string{{"oldText": "25", "newText": "26"}}})
		},
	}
}

// qwen is Qwen Code, which speaks each of our APIs. base is the path of its base URL.
func qwen(api, base, path string) client {
	return client{
		name: "qwen " + api, path: path,
		run: func(t *testing.T, agent *harness.Agent, url, prompt string) string {
			return node(t, agent, "@qwen-code/qwen-code/cli-entry.js",
				[]string{"QWEN_TELEMETRY_ENABLED=0", "QWEN_USAGE_STATISTICS_ENABLED=0", "ANTHROPIC_BASE_URL=" + url + base, "ANTHROPIC_API_KEY=" + harness.Key},
				"--auth-type", api, "--openai-base-url", url+base, "--openai-api-key", harness.Key, "--model", "composer-2.5", "--yolo", "--output-format", "json", prompt)
		},
		read: func(work string) string {
			return call("read_file", map[string]string{"file_path": filepath.Join(work, "list.txt")})
		},
		command: func(string) string {
			return call("run_shell_command", map[string]any{"command": "echo two", "description": "Says two", "is_background": false})
		},
		edit: func(work string) string {
			return call("edit", map[string]string{"file_path": filepath.Join(work, "list.txt"), "old_string": "25", "new_string": "26"})
		},
	}
}

// cline is Cline's program for the command line, which is told of its provider by a command of its own.
func cline() client {
	return client{
		name: "cline", path: "/v1/chat/completions",
		run: func(t *testing.T, agent *harness.Agent, url, prompt string) string {
			program := harness.Installed(t, "../agents/node_modules/@cline/cli-PLATFORM/bin/cline")
			env := []string{"DO_NOT_TRACK=1", "CLINE_SESSION_BACKEND_MODE=local"}
			agent.Run(program, env, "auth", "--provider", "openai", "--apikey", harness.Key, "--baseurl", url+"/v1", "--modelid", "composer-2.5")
			return agent.Run(program, env, "--json", "--provider", "openai", "--model", "composer-2.5", "--cwd", agent.Work, prompt)
		},
		read: func(work string) string {
			return call("read_files", map[string]any{"files": []map[string]string{{"path": filepath.Join(work, "list.txt")}}})
		},
		command: func(string) string { return call("run_commands", map[string]any{"commands": []string{"echo two"}}) },
		edit: func(work string) string {
			return call("editor", map[string]string{"path": filepath.Join(work, "list.txt"), "old_text": "25", "new_text": "26"})
		},
	}
}
