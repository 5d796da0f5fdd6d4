// Package setup lets composer-api set real clients up as a person would, tries them, and puts them back.
package setup

import (
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
	program string // below node_modules
	name    string // on the PATH
	config  string // below the home folder
	lived   string // what is in that file before
	script  string // the call that the model makes
	env     []string
}

var clients = []client{
	{
		id: "opencode", program: "opencode-PLATFORM/bin/opencode", name: "opencode", config: ".config/opencode/opencode.jsonc",
		lived:  "// Mine.\n{\n\t\"theme\": \"gruvbox\", // at night\n\t\"autoupdate\": false,\n\t\"share\": \"disabled\",\n\t\"model\": \"anthropic/claude-sonnet-4-5\",\n}\n",
		script: `call bash {"command":"cat word.txt","description":"Shows the word"}`,
		env:    []string{"OPENCODE_DISABLE_MODELS_FETCH=1", "OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_LSP_DOWNLOAD=1", "OPENCODE_DISABLE_DEFAULT_PLUGINS=1"},
	},
	{
		id: "codex", program: "@openai/codex-PLATFORM/vendor/*/bin/codex", name: "codex", config: ".codex/config.toml",
		lived:  "# Mine.\nmodel = \"gpt-5-codex\" # the good one\ncheck_for_update_on_startup = false\n\n[analytics]\nenabled = false # never\n\n[features]\nplugins = false\n",
		script: `call exec_command {"cmd":"cat word.txt"}`,
	},
	{
		id: "claude", program: "@anthropic-ai/claude-code-PLATFORM/claude", name: "claude", config: ".claude/settings.json",
		lived:  "{\n  \"env\": {\"DISABLE_TELEMETRY\": \"1\", \"ANTHROPIC_MODEL\": \"claude-opus-4-5\"},\n  \"permissions\": {\"allow\": [\"Bash(ls:*)\"]}\n}\n",
		script: `call Bash {"command":"cat word.txt","description":"Shows the word"}`,
		env: []string{
			"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_ERROR_REPORTING=1", "DISABLE_AUTOUPDATER=1",
			"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1",
		},
	},
	{
		id: "pi", program: "../agents/node_modules/@earendil-works/pi-coding-agent/dist/bundle/cli.js", name: "pi", config: ".pi/agent/models.json",
		lived:  "{\n  \"providers\": {\"mine\": {\"baseUrl\": \"http://127.0.0.1:1/v1\", \"api\": \"openai-completions\", \"apiKey\": \"x\", \"models\": [{\"id\": \"local\"}]}}\n}\n",
		script: `call bash {"command":"cat word.txt"}`,
		env:    []string{"PI_OFFLINE=1"},
	},
	{
		id: "qwen", program: "../agents/node_modules/@qwen-code/qwen-code/cli-entry.js", name: "qwen", config: ".qwen/settings.json",
		lived:  "{\n  \"general\": {\"vimMode\": true}\n}\n",
		script: `call run_shell_command {"command":"cat word.txt","description":"Shows the word","is_background":false}`,
		env:    []string{"QWEN_TELEMETRY_ENABLED=0", "QWEN_USAGE_STATISTICS_ENABLED=0", "HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1"},
	},
}

// TestSetupVerifyUndo does so on a machine without a configuration, and on one that somebody lives on.
func TestSetupVerifyUndo(t *testing.T) {
	for _, c := range clients {
		for name, before := range map[string]string{"untouched": "", "lived-in": c.lived} {
			t.Run(c.id+"/"+name, func(t *testing.T) {
				program := harness.Installed(t, c.program)
				sim := harness.StartSim(t)
				// Some clients ask for a title, without tools.
				sim.Play("turn always when not tools\ntext A word\nturn\n" + c.script + "\ntext The word is {result 1}\n")
				state := t.TempDir()
				gateway := harness.StartReplica(t, sim, []string{"COMPOSER_DB=" + t.TempDir() + "/composer.db", "XDG_STATE_HOME=" + state, "CURSOR_API_KEY=" + harness.Key})
				agent := harness.NewAgent(t)
				bin := t.TempDir()
				if err := os.Symlink(program, filepath.Join(bin, c.name)); err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(agent.Home, filepath.FromSlash(c.config))
				if before != "" {
					if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
						t.Fatal(err)
					}
					agent.WriteFile(file, before)
				}
				env := append([]string{
					"HOME=" + agent.Home, "XDG_STATE_HOME=" + state, "PATH=" + bin + ":" + filepath.Dir(harness.Node(t)) + ":" + os.Getenv("PATH"),
					"COMPOSER_ADDR=" + strings.TrimPrefix(gateway.URL, "http://"),
				}, c.env...)

				harness.Operate(t, env, "setup", c.id, "--yes")
				if out := harness.Operate(t, env, "setup", "list"); !strings.Contains(line(out, c.id), "set up") {
					t.Errorf("setup list says\n%s", out)
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
				if calls != 1 {
					t.Errorf("want one call of a tool, got\n%s", harness.Summary(runs))
				}
				if data, err := os.ReadFile(firstFile(filepath.Dir(file))); err == nil && strings.Contains(string(data), harness.Key) {
					t.Error("the file holds the Cursor key")
				}
				harness.Operate(t, env, "setup", "undo", c.id, "--yes")
				data, err := os.ReadFile(file)
				switch {
				case before == "" && err == nil && strings.Contains(string(data), "composer"):
					t.Errorf("undone it holds\n%s", data)
				case before != "" && string(data) != before && c.id == "opencode":
					t.Errorf("undone it holds\n%s\nwant\n%s", data, before)
				case before != "" && strings.Contains(string(data), gateway.URL):
					t.Errorf("undone it holds\n%s", data)
				}
			})
		}
	}
}

// line is the line of a table that begins with a word.
func line(table, word string) string {
	for l := range strings.Lines(table) {
		if strings.HasPrefix(l, word) {
			return l
		}
	}
	return ""
}

// firstFile is the configuration that setup has made where there was none.
func firstFile(dir string) string {
	found, err := filepath.Glob(filepath.Join(dir, "*.json*"))
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[0]
}
