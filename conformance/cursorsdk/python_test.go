package cursorsdk

import (
	"os"
	"path/filepath"
	"testing"

	"composer-api/conformance/harness"
)

// TestThePythonSDKDoesItsTaskOnOneRun lets Cursor's SDK for Python, which drives the published bridge, edit a file with tools of
// its user's, and say one thing more. It speaks Cursor's protocols and none of the gateway's, so the simulator is its
// server: what passes there by way of the gateway's own backend is what Cursor's client does as well.
func TestThePythonSDKDoesItsTaskOnOneRun(t *testing.T) {
	t.Parallel()
	harness.Offline(t, func(t *testing.T) {
		sim, work := harness.StartSim(t), t.TempDir()
		list := filepath.Join(work, "list.txt")
		if err := os.WriteFile(list, []byte("17\n25\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		sim.Play(`
turn
expect prompt Correct the list.
think I look at it first.
text Looking.
calls 2
call read {"path":"list.txt"}
call read {"path":"list.txt"}
end
expect result 1 25
expect result 2 25
call edit {"path":"list.txt","old":"25","new":"26"}
expect result 3 26
text " It is 26 now."
usage input=900 output=80
turn when continued
expect prompt And now?
text It still is.
usage input=950 output=5
`)
		out := harness.RunCursorSDK(t, "drive.py", "CURSOR_BACKEND_URL="+sim.URL, "API_KEY="+harness.Key, "WORK="+work)
		const want = `{"text": "Looking. It is 26 now.", "status": "finished", "tokens": [900, 80]}
{"text": "It still is.", "status": "finished", "tokens": [950, 5]}
`
		if out != want {
			t.Errorf("the SDK's user sees\n%swant\n%s", out, want)
		}
		if text, err := os.ReadFile(list); err != nil || string(text) != "17\n26\n" {
			t.Errorf("the file has %q, %v", text, err)
		}
		runs := sim.AwaitIdle()
		if len(runs) != 2 || runs[0].End != "well" || len(runs[0].Calls()) != 3 || !runs[1].Continued || runs[1].End != "well" {
			t.Errorf("want one run with 3 calls and one that continues it, got\n%s", harness.Summary(runs))
		}
		judge(t, sim)
	})
}
