package control

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJSONValues(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		want   []string
	}{
		"one value":              {" {\"a\": 1}\n", []string{`{"a": 1}`}},
		"a string":               {`"a {} b"`, []string{`"a {} b"`}},
		"a fence":                {"```json\n{\"a\": 1}\n```", []string{`{"a": 1}`}},
		"a fence without a name": {"```\n[1]\n```", []string{`[1]`}},
		"a fence on one line":    {"```{\"a\": 1}```", []string{`{"a": 1}`}},
		"a fence without an end": {"```json\n{\"a\": 1}", []string{`{"a": 1}`}},
		"a fence with a string":  {"So:\n```json\n\"yes\"\n```", []string{`"yes"`}},
		"two fences":             {"```\n1\n```\nor\n```\n[22]\n```", []string{`[22]`, `1`}},
		"words around it":        {"Here {it} is: {\"a\": [1]} :-]", []string{`{"a": [1]}`}},
		"a value cut short":      {`{"a": {"b": 1}`, []string{`{"b": 1}`}},
		"braces in strings":      {`x {"a": "}{"} y`, []string{`{"a": "}{"}`}},
		"a member twice":         {`x {"a": 1, "a": 2}`, []string{`{"a": 1, "a": 2}`}},
		"no JSON":                {"I would say Brno.", nil},
		"nothing":                {"", nil},
		"many brackets":          {strings.Repeat("[", 1000), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, jsonValues(tt.answer)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDeclines(t *testing.T) {
	for answer, want := range map[string]bool{
		"I'm sorry, but I can't help with that.":     true,
		"\nI’m unable to do this.":                   true,
		"Sorry, no.":                                 true,
		"I cannot share that.":                       true,
		"The answer is 5. I'm sorry it is so short.": false,
		"I can do that:":                             false,
		"":                                           false,
		"I'm sorry, but here it is: {\"a\":1}":       false,
		"I can't " + strings.Repeat("x", 3000):       false,
	} {
		if got := declines(answer); got != want {
			t.Errorf("%.40q: %v", answer, got)
		}
	}
}
