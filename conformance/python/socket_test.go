package python

import (
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// TestAToolLoopOnAWebSocketIsOneRun lets OpenAI's SDK run the loop over one connection, with store: false: each message
// brings what is new alone.
func TestAToolLoopOnAWebSocketIsOneRun(t *testing.T) {
	t.Parallel()
	sim := harness.StartSim(t)
	sim.Play(task)
	gateway := harness.StartGateway(t, sim)
	out := harness.RunPython(t, "testdata/openai_connect.py", "BASE_URL="+gateway.BaseURL(), "API_KEY="+harness.Key)
	if want := "The sums are 3, 30 and 300.\nNothing.\n"; out != want {
		t.Errorf("the client prints %q, want %q", out, want)
	}
	runs := sim.AwaitIdle()
	if got := harness.Summary(runs); got != wantRuns {
		t.Errorf("the runs are\n%swant\n%s", got, wantRuns)
	} else if runs[1].ConversationID != runs[0].ConversationID {
		t.Error("the second prompt is another conversation")
	}
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
}
