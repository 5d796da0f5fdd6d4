// Package copilot lets GitHub's Copilot CLI, without its user interface, complete a task by way of the gateway's
// Messages API.
package copilot

import (
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

func TestATaskIsOneRun(t *testing.T) {
	sim := harness.StartSim(t)
	recorder := harness.StartRecorder(t, harness.StartGateway(t, sim))
	agent := harness.NewAgent(t)
	sim.Play(`
turn
expect prompt Correct the list.
think I look at it first.
text Looking.
calls 2
call bash {"command":"cat list.txt","description":"Shows the list"}
call bash {"command":"echo two","description":"Says two"}
end
expect result 1 25
expect result 2 two
call bash {"command":"sed -i s/25/26/ list.txt","description":"Corrects the list"}
text It is 26 now.
`)
	list := agent.Work + "/list.txt"
	agent.WriteFile(list, "17\n25\n")
	out := agent.Run(harness.Installed(t, "@github/copilot-PLATFORM/copilot"), []string{
		"COPILOT_PROVIDER_TYPE=anthropic", "COPILOT_PROVIDER_BASE_URL=" + recorder.URL, "COPILOT_PROVIDER_API_KEY=" + harness.Key,
		"COPILOT_MODEL=composer-2.5",
		// It must not call home: it is told not to, and the way out leads nowhere.
		"COPILOT_OFFLINE=true", "COPILOT_AUTO_UPDATE=false", "HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1",
	}, "-p", "Correct the list.", "--allow-all-tools", "--output-format", "json")
	if !strings.Contains(out, "It is 26 now.") {
		t.Errorf("Copilot prints\n%s", out)
	}
	agent.WantFile(list, "17\n26\n")
	if n := len(recorder.Exchanges("/v1/messages")); n != 3 {
		t.Errorf("Copilot sent %d requests, want 3", n)
	}
	runs := sim.AwaitIdle()
	if len(runs) != 1 || runs[0].End != "well" || len(runs[0].Failures) > 0 || len(runs[0].Calls()) != 3 {
		t.Errorf("want one run with 3 calls, got\n%s", harness.Summary(runs))
	}
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
}
