package gateway

import (
	"testing"

	"composer-api/internal/agent"
)

func TestThinkingIsTakenOffAnswers(t *testing.T) {
	for said, want := range map[string]string{
		"<think>\nHm.\n</think>\n\nYes.":            "Yes.",
		"<think>a</think><think>b</think>Yes.":      "Yes.",
		"The tag <think> opens, </think> closes it": "The tag <think> opens, </think> closes it",
		"<think>never closed":                       "<think>never closed",
		"Yes.":                                      "Yes.",
	} {
		sent := []agent.Message{says(agent.User, "hi"), says(agent.Assistant, said)}
		got := withoutThinking(sent)
		if got[1].Text() != want {
			t.Errorf("%q: %q, want %q", said, got[1].Text(), want)
		}
		if sent[1].Text() != said {
			t.Errorf("%q: the client's own messages were changed", said)
		}
		if digestOf(got...) != digestOf(withoutThinking([]agent.Message{says(agent.User, "hi"), says(agent.Assistant, want)})...) {
			t.Errorf("%q: another conversation", said)
		}
	}
	only := withoutThinking([]agent.Message{says(agent.Assistant, "<think>Hm.</think>")})
	if len(only[0].Parts) != 0 {
		t.Errorf("thinking alone left %q", only[0].Text())
	}
	if user := withoutThinking([]agent.Message{says(agent.User, "<think>x</think>")}); user[0].Text() != "<think>x</think>" {
		t.Errorf("the user's text became %q", user[0].Text())
	}
}
