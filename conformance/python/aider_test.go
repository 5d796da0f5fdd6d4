package python

import (
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// edit is an answer in aider's format of edits, after one that doesn't fit the file: aider then asks the model again.
const edit = `
turn
expect prompt Greet the world.
text "greeting.txt\n\x60\x60\x60\n<<<<<<< SEARCH\nGood bye.\n=======\nHello, world.\n>>>>>>> REPLACE\n\x60\x60\x60\n"
turn
expect prompt SEARCH
text "greeting.txt\n\x60\x60\x60\n<<<<<<< SEARCH\nHello.\n=======\nHello, world.\n>>>>>>> REPLACE\n\x60\x60\x60\n"
`

// TestAiderEditsAFile lets aider change a file as the model says. It has no tools: what the model writes has to reach it to the letter.
func TestAiderEditsAFile(t *testing.T) {
	t.Parallel()
	sim := harness.StartSim(t)
	sim.Play(edit)
	out := harness.RunAider(t, "testdata/aider_edit.py", "BASE_URL="+harness.StartGateway(t, sim).BaseURL(), "API_KEY="+harness.Key,
		"LITELLM_LOCAL_MODEL_COST_MAP=True") // or it looks for a list of prices on the network
	if !strings.Contains(out, "the file: Hello, world.\n") {
		t.Errorf("aider prints\n%s", out)
	}
	if runs := sim.AwaitIdle(); len(runs) != 2 {
		t.Errorf("%d runs upstream, want 2:\n%s", len(runs), harness.Summary(runs))
	}
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
}
