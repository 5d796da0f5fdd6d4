// Package claudecode lets Claude Code, without its user interface, complete tasks by way of the gateway's Messages API.
package claudecode

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// A claude is Claude Code in front of a gateway and a simulator of its own.
type claude struct {
	*harness.Agent
	t        *testing.T
	sim      *harness.Sim
	gateway  *harness.Gateway
	recorder *harness.Recorder
	// model and key are what it is told to use.
	model, key string
}

// newClaude starts everything but Claude Code itself. args are further flags of `composer-api serve`.
func newClaude(t *testing.T, script string, args ...string) *claude {
	t.Helper()
	sim := harness.StartSim(t)
	sim.Play(script)
	gateway := harness.StartGateway(t, sim, args...)
	return &claude{harness.NewAgent(t), t, sim, gateway, harness.StartRecorder(t, gateway), "composer-2.5", harness.Key}
}

// command is how Claude Code is run. Without --output-format it would print text alone.
func (c *claude) command(prompt string, args []string) (program string, env, all []string) {
	env = []string{
		// The three lines of the README.
		"ANTHROPIC_BASE_URL=" + c.recorder.URL, "ANTHROPIC_AUTH_TOKEN=" + c.key,
		"ANTHROPIC_MODEL=" + c.model, "ANTHROPIC_DEFAULT_HAIKU_MODEL=" + c.model,
		// It must not call home: it is told not to, and the way out leads nowhere.
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_TELEMETRY=1", "DISABLE_ERROR_REPORTING=1", "DISABLE_AUTOUPDATER=1",
		"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1",
	}
	all = append([]string{"-p", prompt, "--output-format", "json", "--permission-mode", "acceptEdits", "--allowedTools", "Bash Edit Read Write ToolSearch"}, args...)
	return harness.Installed(c.t, "@anthropic-ai/claude-code-PLATFORM/claude"), env, all
}

// A result is what Claude Code prints at its end.
type result struct {
	Result  string
	IsError bool `json:"is_error"`
}

func (c *claude) read(out string) result {
	c.t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var r result
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		c.t.Fatalf("Claude Code printed %q", out)
	}
	return r
}

// run gives Claude Code a prompt and returns its last words. The test fails when it fails.
func (c *claude) run(prompt string, args ...string) string {
	c.t.Helper()
	program, env, all := c.command(prompt, args)
	r := c.read(c.Run(program, env, all...))
	if r.IsError {
		c.t.Fatalf("Claude Code failed: %s", r.Result)
	}
	return r.Result
}

// wantFailure gives Claude Code a prompt and fails the test unless it fails with these words.
func (c *claude) wantFailure(prompt, want string) {
	c.t.Helper()
	program, env, all := c.command(prompt, nil)
	if r := c.read(c.RunToFailure(program, env, all...)); !r.IsError || !strings.Contains(r.Result, want) {
		c.t.Errorf("Claude Code says %q, want %q", r.Result, want)
	}
}

const path = "/v1/messages"

// wantStatuses fails the test unless Claude Code's requests were answered so. It makes no others on the way.
func (c *claude) wantStatuses(want ...int) {
	c.t.Helper()
	var got []int
	for _, e := range c.recorder.Exchanges(path) {
		got = append(got, e.Status)
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("the requests were answered %v, want %v", got, want)
	}
}

// wantRuns fails the test unless upstream saw these runs, and every expectation of the script held.
func (c *claude) wantRuns(want string) []harness.Run {
	c.t.Helper()
	runs := c.sim.AwaitIdle()
	for i := range runs {
		runs[i].Tools = nil // dozens, and others in each version
		for j := range runs[i].Execs {
			runs[i].Execs[j].Result = ""
		}
	}
	if got := harness.Summary(runs); got != want {
		c.t.Errorf("the runs are\n%swant\n%s", got, want)
	}
	if wrong := c.sim.Violations(); len(wrong) > 0 {
		c.t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
	return runs
}

// TestATaskIsOneRun takes several steps, two of them at once. Claude Code changes most calls before it runs them and
// sends them back so: it takes "cd" off a command, trims what is written, and adds what its tools default to.
func TestATaskIsOneRun(t *testing.T) {
	t.Parallel()
	c := newClaude(t, "")
	list := c.Work + "/list.txt"
	c.sim.Play(`
turn
expect prompt Correct the list.
expect tools Edit
think I look at it first.
call Read {"file_path":"` + list + `"}
expect result 1 25
text The second number is wrong.
call Edit {"file_path":"` + list + `","old_string":"25","new_string":"26  "}
expect result 2 updated
calls 2
call Bash {"command":"cd ` + c.Work + ` && cat list.txt","description":"Shows the list"}
call Write {"file_path":"` + c.Work + `/new.txt","content":"a  \nb"}
end
expect result 3 instead of yours: {"command":"cat list.txt"}
expect result 3 26
expect result 4 created
text It is 26 now.
usage input=900 output=80 cache_read=5000 reasoning=10
`)
	c.WriteFile(list, "17\n25\n")
	if said := c.run("Correct the list."); said != "It is 26 now." {
		t.Errorf("Claude Code ends with %q", said)
	}
	c.WantFile(list, "17\n26\n")
	c.wantStatuses(200, 200, 200, 200)
	c.wantRuns(`run 1: composer-2.5;fast=false, end well
  mcp Read: ""
  mcp Edit: ""
  mcp Bash: ""
  mcp Write: ""
`)
}

func TestAnImageReachesTheModel(t *testing.T) {
	t.Parallel()
	c := newClaude(t, "")
	c.sim.Play(`
turn
call Read {"file_path":"` + c.Work + `/pixel.png"}
expect result 1 image/png
text It is red.
`)
	c.WriteFile(c.Work+"/pixel.png", pixel)
	if said := c.run("Which colour has pixel.png?"); said != "It is red." {
		t.Errorf("Claude Code ends with %q", said)
	}
	c.wantStatuses(200, 200)
	c.wantRuns("run 1: composer-2.5;fast=false, end well\n  mcp Read: \"\"\n")
}

// pixel is a PNG of one pixel.
const pixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde" +
	"\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\x00\x00\x00\x00IEND\xaeB\x60\x82"

// TestASessionIsContinued closes Claude Code between two prompts. What it sends of the first when it is back is all that
// the gateway has to find upstream's conversation by.
func TestASessionIsContinued(t *testing.T) {
	t.Parallel()
	c := newClaude(t, `
turn
call Bash {"command":"echo 17; echo 25"}
text There are two numbers.
turn when continued
text They are 17 and 25.
`)
	c.run("Read the list.")
	if said := c.run("Which are they?", "--continue"); said != "They are 17 and 25." {
		t.Errorf("Claude Code ends with %q", said)
	}
	c.wantStatuses(200, 200, 200)
	runs := c.wantRuns("run 1: composer-2.5;fast=false, end well\n  mcp Bash: \"\"\nrun 2: composer-2.5;fast=false, continued, end well\n")
	if len(runs) == 2 && (runs[1].ConversationID != runs[0].ConversationID || strings.Contains(runs[1].Prompt, "Read the list.")) {
		t.Errorf("the second prompt is %q, in conversation %s", runs[1].Prompt, runs[1].ConversationID)
	}
}

// TestAConversationThatIsTooLongIsCompacted has upstream refuse one. Claude Code knows by the words of the error that a
// summary helps, asks for one, and goes on from it.
func TestAConversationThatIsTooLongIsCompacted(t *testing.T) {
	if os.Getenv(harness.UpstreamVariable) == "sdkbridge" {
		t.Skip("Cursor's bridge does not say why a conversation is refused")
	}
	t.Parallel()
	c := newClaude(t, `
turn when prompt "SUMMARY: two numbers were said."
text Three.
turn when prompt "Do NOT call any tools"
text <summary>SUMMARY: two numbers were said.</summary>
turn always when prompt "the third number"
error invalid_argument detail=43 title="Too long" It is too long.
turn when prompt "the second number"
text Two.
turn
text One.
`)
	for i, want := range []string{"One.", "Two.", "Three."} {
		var more []string
		if i > 0 {
			more = []string{"--continue"}
		}
		if said := c.run("Say "+[]string{"the first number", "the second number", "the third number"}[i]+".", more...); said != want {
			t.Errorf("Claude Code says %q, want %q", said, want)
		}
	}
	c.wantStatuses(200, 200, 400, 200, 200)
}

// TestToolsThatAreFoundLaterAreOffered lets the model look for one of the tools that Claude Code keeps back.
func TestToolsThatAreFoundLaterAreOffered(t *testing.T) {
	t.Parallel()
	c := newClaude(t, `
turn
expect tools ToolSearch
call ToolSearch {"query":"select:WebFetch"}
turn
expect tools WebFetch
expect prompt The tool WebFetch can be called now.
text I have it.
`)
	if said := c.run("Find a tool."); said != "I have it." {
		t.Errorf("Claude Code ends with %q", said)
	}
	c.wantStatuses(200, 200)
	for i, r := range c.sim.AwaitIdle() {
		if found := slices.Contains(r.Tools, "WebFetch"); found != (i == 1) || slices.Contains(r.Tools, "DeferredToolPlaceholder") || len(r.Failures) > 0 {
			t.Errorf("run %d offers %q, %v", i+1, r.Tools, r.Failures)
		}
	}
}

func TestErrorsAreShown(t *testing.T) {
	for name, tc := range map[string]struct {
		model, key, want string
		statuses         []int
	}{
		"a key that is not valid": {"composer-2.5", "crsr_bad_key", "Failed to authenticate. API Error: 401 The API key is not valid.", []int{401}},
		"an unknown model":        {"claude-sonnet-5", harness.Key, "There's an issue with the selected model (claude-sonnet-5).", []int{404, 404}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClaude(t, "turn always\ntext never said")
			c.model, c.key = tc.model, tc.key
			c.wantFailure("Hello?", tc.want)
			c.wantStatuses(tc.statuses...)
		})
	}
}

// TestAnOverloadThatPassesIsNotSeen has the gateway refuse a request because another one takes up all that it allows.
// Claude Code waits as long as it is told to, and tries again.
func TestAnOverloadThatPassesIsNotSeen(t *testing.T) {
	t.Parallel()
	c := newClaude(t, "turn when prompt \"Take your time.\"\nhold\nturn\ntext Here I am.", "--max-requests=1")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	left := make(chan error, 1)
	go func() { left <- c.occupy(ctx) }()
	c.sim.Await("the first request", func(runs []harness.Run) bool { return len(runs) == 1 })
	go func() {
		// The exchange is noted before its answer is there.
		for ctx.Err() == nil && !slices.ContainsFunc(c.recorder.Exchanges(path), func(e harness.Exchange) bool { return e.Status != 0 }) {
			time.Sleep(10 * time.Millisecond)
		}
		leave()
	}()
	if said := c.run("Hello?"); said != "Here I am." {
		t.Errorf("Claude Code says %q", said)
	}
	<-left
	exchanges := c.recorder.Exchanges(path)
	for i, e := range exchanges {
		if want := 529; i < len(exchanges)-1 && e.Status != want {
			t.Errorf("request %d was answered %d: %s", i+1, e.Status, e.Answer)
		}
	}
	if len(exchanges) < 2 {
		t.Errorf("there were %d requests", len(exchanges))
	}
}

// occupy sends a request past the recorder and waits until it is over.
func (c *claude) occupy(ctx context.Context) error {
	body := `{"model":"composer-2.5","max_tokens":100,"messages":[{"role":"user","content":"Take your time."}]}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.gateway.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Api-Key", harness.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
