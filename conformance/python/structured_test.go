package python

import (
	"fmt"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// three is what the model does: it puts a fence and words around what it was asked for, or makes a mistake in it. A client
// that lets it count is given a call first, once with arguments that don't fit the tool; one that wants its answer as a
// call gets words.
const three = `
turn always when prompt "A program reads your answer"
text {"city":"Brno","people":400000}
turn always when prompt "You have not called the tool"
call City {"city":"Brno","people":400000}
turn always when tools and prompt "Count. Fenced."
text I count first.
call count {"city":"Brno"}
checkpoint
text "It has {result 1}:\n\n\x60\x60\x60json\n{\"city\":\"Brno\",\"people\":400000}\n\x60\x60\x60\n"
turn always when tools and prompt "Count. In words."
call count {"city":"Brno"}
checkpoint
text "It has {result 1}: {\"city\":\"Brno\",\"people\":400000}. So there."
turn always when tools and prompt "Count. Wrong."
call count {"city":["Brno"]}
call count {"city":"Brno"}
checkpoint
text {"city":"Brno","people":"about {result 2}"}
turn always when tools
checkpoint
text I would rather tell you: {"city":"Brno","people":400000}
turn always when prompt "Fenced."
checkpoint
text "Here it is:\n\n\x60\x60\x60json\n{\"city\":\"Brno\",\"people\":400000}\n\x60\x60\x60\n"
turn always when prompt "In words."
checkpoint
text "Sure, {one moment}: {\"city\":\"Brno\",\"people\":400000}. Brno is the second largest."
turn always
checkpoint
text {"city":"Brno","people":"about 400000"}
`

// TestObjectsOfAnswers lets clients that throw on anything but an object that fits ask three times. No client sends more
// requests than it must: the further attempts are the gateway's, and each is one message in the same conversation.
func TestObjectsOfAnswers(t *testing.T) {
	for _, client := range []struct {
		name, surface string
		stream        bool
		requests      int
	}{
		{"openai", "chat", false, 3},
		{"openai", "chat", true, 3},
		{"openai", "responses", false, 3},
		{"openai", "responses", true, 3},
		{"agents", "chat", false, 6},
		{"agents", "chat", true, 6},
		{"agents", "responses", false, 6},
		{"agents", "responses", true, 6},
		{"instructor", "chat", false, 8},
		{"instructor", "responses", false, 3},
	} {
		t.Run(fmt.Sprintf("%s %s stream=%t", client.name, client.surface, client.stream), func(t *testing.T) {
			t.Parallel()
			sim := harness.StartSim(t)
			sim.Play(three)
			recorder := harness.StartRecorder(t, harness.StartGateway(t, sim))
			env := []string{"BASE_URL=" + recorder.URL + "/v1", "API_KEY=" + harness.Key, "SURFACE=" + client.surface, "CLIENT=" + client.name}
			if client.stream {
				env = append(env, "STREAM=1")
			}
			run := harness.RunPython
			if client.name == "instructor" {
				run = harness.RunInstructor
			}
			out := run(t, "testdata/structured.py", env...)
			const brno = "city='Brno' people=400000\n"
			if want := "Fenced. " + brno + "In words. " + brno + "Wrong. " + brno; out != want {
				t.Errorf("the client prints %q, want %q", out, want)
			}
			if n := len(recorder.Exchanges(paths[client.surface])); n != client.requests {
				t.Errorf("the client sent %d requests, want %d", n, client.requests)
			}
			// Runs whose answer is a call stay parked: instructor never sends a result.
			for _, r := range sim.Runs() {
				repaired := strings.Contains(r.Prompt, "A program reads your answer") || strings.Contains(r.Prompt, "You have not called the tool")
				if repaired != r.Continued {
					t.Errorf("continued: %v, with the prompt\n%s", r.Continued, r.Prompt)
				}
			}
			if wrong := sim.Violations(); len(wrong) > 0 {
				t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
			}
		})
	}
}
