package agent

import (
	"strings"
	"testing"
)

func TestWithoutThinking(t *testing.T) {
	for said, want := range map[string]string{
		"<think>\nHm.\n</think>\n\nYes.":      "Yes.",
		"\n <THINK>Hm.</think>Yes.":           "Yes.",
		"<think>a</think><think>b</think>Yes": "Yes",
		"<think>Hm.</think>":                  "",
		"<details type=\"reasoning\" done=\"true\" duration=\"2\">\n<summary>Thought</summary>\n> Hm.\n</details>\nYes.": "Yes.",
		":::thinking\nHm.\n:::\nYes.":                      "Yes.",
		"The tag <think> opens, </think> closes it":        "The tag <think> opens, </think> closes it",
		"<think>never closed":                              "<think>never closed",
		"<thinking>asked for</thinking><answer>4</answer>": "<thinking>asked for</thinking><answer>4</answer>",
		"<details><summary>x</summary></details>":          "<details><summary>x</summary></details>",
		"Yes.": "Yes.",
		"":     "",
	} {
		if got := WithoutThinking(said); got != want {
			t.Errorf("%q became %q, want %q", said, got, want)
		}
		// Whatever may still become thinking must be said to, at every place where a stream may be cut.
		for i := range len(said) {
			if whole := said[i:]; !ThinkingMayFollow(said[:i]) && WithoutThinking(said) != WithoutThinking(said[:i])+whole {
				t.Errorf("%q: what is thinking was not certain after %q", said, said[:i])
			}
		}
	}
	if ThinkingMayFollow(strings.Repeat("x", 100)) || ThinkingMayFollow("<think>a</think>b") {
		t.Error("thinking may follow where it can't")
	}
}
