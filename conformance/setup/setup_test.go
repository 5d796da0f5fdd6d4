// Package setup lets composer-api set real clients up as a person would, tries them, and puts them back. A row of the table is
// a client.
package setup

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// A client is one that can be run here.
type client struct {
	id      string // for composer-api
	program string // below node_modules, or "aider"
	name    string // on the PATH
	config  string // below the home folder; "" for one that has variables alone
	lived   string // what is in that file before
	// edit is what a person changes afterwards in that file, one text for another.
	edit   [2]string
	script string // the call that the model makes
	env    []string
	// runs is "" for every platform, or else the only one for which there is a package.
	runs string
}

var clients = []client{
	{
		id: "opencode", program: "opencode-PLATFORM/bin/opencode", name: "opencode", config: ".config/opencode/opencode.jsonc",
		lived:  "// Mine.\n{\n\t\"username\": \"me\", // at night\n\t\"autoupdate\": false,\n\t\"share\": \"disabled\",\n\t\"model\": \"anthropic/claude-sonnet-4-5\",\n}\n",
		edit:   [2]string{`"username": "me"`, `"username": "you"`},
		script: `call bash {"command":"cat word.txt","description":"Shows the word"}`,
		env:    []string{"OPENCODE_DISABLE_MODELS_FETCH=1", "OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_LSP_DOWNLOAD=1", "OPENCODE_DISABLE_DEFAULT_PLUGINS=1"},
	},
	{
		id: "codex", program: "@openai/codex-PLATFORM/vendor/*/bin/codex", name: "codex", config: ".codex/config.toml",
		lived:  "# Mine.\nmodel = \"gpt-5-codex\" # the good one\ncheck_for_update_on_startup = false\n\n[analytics]\nenabled = false # never\n\n[features]\nplugins = false\n",
		edit:   [2]string{"# never", "# never again"},
		script: `call exec_command {"cmd":"cat word.txt"}`,
	},
	{
		id: "claude", program: "@anthropic-ai/claude-code-PLATFORM/claude", name: "claude", config: ".claude/settings.json",
		lived:  "{\n  \"env\": {\"DISABLE_TELEMETRY\": \"1\", \"ANTHROPIC_MODEL\": \"claude-opus-4-5\"},\n  \"permissions\": {\"allow\": [\"Bash(ls:*)\"]}\n}\n",
		edit:   [2]string{"Bash(ls:*)", "Bash(cat:*)"},
		script: `call Bash {"command":"cat word.txt","description":"Shows the word"}`,
		env:    []string{"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_ERROR_REPORTING=1", "DISABLE_AUTOUPDATER=1"},
	},
	{
		id: "cline", program: "../agents/node_modules/@cline/cli-PLATFORM/bin/cline", name: "cline", config: ".cline/data/settings/providers.json",
		lived: `{
  "version": 1,
  "lastUsedProvider": "anthropic",
  "modes": {},
  "providers": {
    "anthropic": {
      "settings": {
        "provider": "anthropic",
        "apiKey": "sk-mine",
        "model": "claude-opus-4-5"
      },
      "updatedAt": "2026-11-01T12:00:00.000Z",
      "tokenSource": "manual"
    }
  }
}
`,
		edit:   [2]string{"sk-mine", "sk-other"},
		script: `call run_commands {"commands":["cat word.txt"]}`,
		env:    []string{"DO_NOT_TRACK=1", "CLINE_SESSION_BACKEND_MODE=local"},
	},
	{
		id: "continue", program: "../setup/node_modules/@continuedev/cli/dist/cn.js", name: "cn", config: ".continue/config.yaml",
		lived:  "# Mine.\nname: Mine\nversion: 0.0.1\nschema: v1\n\nmodels:\n  # The local one.\n  - name: Llama\n    provider: ollama\n    model: llama3.1:8b\n\nrules:\n  - Be brief.\n",
		edit:   [2]string{"Be brief.", "Be long."},
		script: `call Bash {"command":"cat word.txt"}`,
		env:    []string{"CONTINUE_TELEMETRY_ENABLED=0"},
	},
	{
		id: "qwen", program: "../agents/node_modules/@qwen-code/qwen-code/cli-entry.js", name: "qwen", config: ".qwen/settings.json",
		lived: "{\n  \"general\": {\"vimMode\": true}\n}\n",
		edit:  [2]string{`"vimMode": true`, `"vimMode": false`},
		// Not its shell: on a busy machine, Qwen Code loses what a short command prints.
		script: `call grep_search {"pattern":"."}`,
		env:    []string{"QWEN_TELEMETRY_ENABLED=0", "QWEN_USAGE_STATISTICS_ENABLED=0"},
	},
	{
		id: "pi", program: "../agents/node_modules/@earendil-works/pi-coding-agent/dist/bundle/cli.js", name: "pi", config: ".pi/agent/models.json",
		lived:  "{\n  \"providers\": {\"mine\": {\"baseUrl\": \"http://127.0.0.1:1/v1\", \"api\": \"openai-completions\", \"apiKey\": \"x\", \"models\": [{\"id\": \"local\"}]}}\n}\n",
		edit:   [2]string{`"id": "local"`, `"id": "other"`},
		script: `call bash {"command":"cat word.txt"}`,
		env:    []string{"PI_OFFLINE=1"},
	},
	{
		id: "kilo", program: "../setup/node_modules/@kilocode/cli-PLATFORM/bin/kilo", name: "kilo", config: ".config/kilo/kilo.jsonc", runs: "linux-x64",
		lived:  "// Mine.\n{\n\t\"username\": \"me\", // at night\n\t\"autoupdate\": false,\n\t\"model\": \"anthropic/claude-sonnet-4-5\",\n}\n",
		edit:   [2]string{`"username": "me"`, `"username": "you"`},
		script: `call bash {"command":"cat word.txt","description":"Shows the word"}`,
		env:    []string{"KILO_DISABLE_MODELS_FETCH=1", "KILO_DISABLE_AUTOUPDATE=1", "KILO_DISABLE_LSP_DOWNLOAD=1", "KILO_DISABLE_DEFAULT_PLUGINS=1"},
	},
	{
		id: "copilot", program: "@github/copilot-PLATFORM/copilot", name: "copilot",
		script: `call bash {"command":"cat word.txt","description":"Shows the word"}`,
		env:    []string{"COPILOT_OFFLINE=true", "COPILOT_AUTO_UPDATE=false"},
	},
	{
		// It has no tools: the model writes the file anew, with the word that the prompt asks for.
		id: "aider", program: "aider", name: "aider", config: ".aider.conf.yml",
		lived:  "# Mine.\ndark-mode: true\nmodel: gpt-5 # the good one\n",
		edit:   [2]string{"dark-mode: true", "light-mode: true"},
		script: "text \"word.txt\\n\\x60\\x60\\x60\\n{after by the word}\\n\\x60\\x60\\x60\\n\"",
		env:    []string{"LITELLM_LOCAL_MODEL_COST_MAP=True", "AIDER_ANALYTICS=false"},
	},
}

// TestSetupVerifyUndo does so with each client on a machine without a configuration, and on one that somebody lives on. Undone at
// once, all files are as they were, byte for byte. Undone after the client has run and somebody has edited the file, the edit
// stays and nothing of ours does.
func TestSetupVerifyUndo(t *testing.T) {
	for _, c := range clients {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			if c.runs != "" && c.runs != harness.Platform() {
				t.Skipf("there is a package of %s for %s alone", c.id, c.runs)
			}
			// Several of them look for something on the network at their start, and wait for it.
			harness.Offline(t, func(t *testing.T) {
				t.Run("untouched", func(t *testing.T) { tryClient(t, &c, "") })
				if c.config != "" {
					t.Run("lived-in", func(t *testing.T) { tryClient(t, &c, c.lived) })
				}
			})
		})
	}
}

func tryClient(t *testing.T, c *client, before string) {
	sim := harness.StartSim(t)
	if c.id == "aider" {
		sim.Play("turn always\n" + c.script + "\n")
	} else {
		// Some clients ask for a title, without tools.
		sim.Play("turn always when not tools\ntext A word\nturn\n" + c.script + "\ntext The word is {result 1}\n")
	}
	state := t.TempDir()
	gateway := harness.StartReplica(t, sim, []string{"COMPOSER_DB=" + t.TempDir() + "/composer.db", "XDG_STATE_HOME=" + state, "CURSOR_API_KEY=" + harness.Key})
	agent := harness.NewAgent(t)
	env := append([]string{
		"HOME=" + agent.Home, "XDG_STATE_HOME=" + state, "PATH=" + onPath(t, c) + ":" + filepath.Dir(harness.Node(t)) + ":" + os.Getenv("PATH"),
		"COMPOSER_ADDR=" + strings.TrimPrefix(gateway.URL, "http://"),
	}, c.env...)
	file := filepath.Join(agent.Home, filepath.FromSlash(c.config))
	if before != "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		agent.WriteFile(file, before)
	}
	untouched := files(t, agent.Home)
	harness.Operate(t, env, "setup", c.id, "--yes")
	if c.config != "" {
		harness.Operate(t, env, "setup", "undo", c.id, "--yes")
		if now := files(t, agent.Home); now != untouched {
			t.Errorf("undone at once, there is\n%s\nwant\n%s", now, untouched)
		}
		harness.Operate(t, env, "setup", c.id, "--yes")
		if out := harness.Operate(t, env, "setup", "list"); !strings.Contains(line(out, c.id), "set up") {
			t.Errorf("setup list says\n%s", out)
		}
	}
	ours := files(t, agent.Home)
	if strings.Contains(ours, harness.Key) {
		t.Errorf("a file holds the Cursor key:\n%s", ours)
	}
	out := harness.Operate(t, env, "setup", "verify", c.id)
	if !strings.Contains(out, "result    ok") {
		t.Errorf("verify says\n%s", out)
	}
	runs := sim.AwaitIdle()
	calls := 0
	for _, run := range runs {
		calls += len(run.Calls())
	}
	if want := 1; c.id != "aider" && calls != want {
		t.Errorf("want one call of a tool, got\n%s", harness.Summary(runs))
	}
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
	if c.config == "" {
		return
	}
	// A person's edit, of the file as the client has left it.
	edited := ""
	if before != "" {
		edited = replace(t, agent, file, c.edit)
	}
	harness.Operate(t, env, "setup", "undo", c.id, "--yes")
	data, err := os.ReadFile(file)
	switch left := string(data); {
	case strings.Contains(left, gateway.URL) || strings.Contains(left, "composer-"):
		t.Errorf("undone, it still holds something of ours:\n%s", left)
	case before == "" && err == nil && strings.Contains(ours, left):
		t.Errorf("undone, a file of our making is still there:\n%s", left)
	case before != "" && !strings.Contains(left, c.edit[1]):
		t.Errorf("the person's edit is gone:\n%s\nit was\n%s", left, edited)
	}
	// Where the client has not written its own file, all else is as it was, to the byte.
	if want := strings.Replace(before, c.edit[0], c.edit[1], 1); before != "" && string(data) != want && strings.Contains(ours, strings.Replace(edited, c.edit[1], c.edit[0], 1)) {
		t.Errorf("undone, it is\n%s\nwant\n%s", data, want)
	}
}

// onPath is a folder with the client's program under its name.
func onPath(t *testing.T, c *client) string {
	t.Helper()
	command := ""
	switch {
	case c.program == "aider":
		command = harness.AiderPython(t) + " -m aider"
	case strings.HasSuffix(c.program, ".js"):
		command = harness.Node(t) + " " + harness.Installed(t, c.program)
	default:
		command = harness.Installed(t, c.program)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, c.name), []byte("#!/bin/sh\nexec "+command+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return bin
}

// files is all that lies below a folder, as text.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all.WriteString("=== " + path + "\n" + string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// replace makes an edit in a file, and returns what it then holds.
func replace(t *testing.T, agent *harness.Agent, file string, edit [2]string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(data), edit[0], edit[1], 1)
	if edited == string(data) {
		t.Fatalf("there is no %q in\n%s", edit[0], data)
	}
	agent.WriteFile(file, edited)
	return edited
}

// line is the line of a table that begins with a word.
func line(table, word string) string {
	for l := range strings.Lines(table) {
		if strings.HasPrefix(l, word+" ") {
			return l
		}
	}
	return ""
}
