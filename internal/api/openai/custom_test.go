package openai_test

import (
	"strings"
	"testing"

	"composer-api/internal/api/openai"
)

func TestCustomInput(t *testing.T) {
	for arguments, want := range map[string]string{
		`{"input":"*** Begin\n\"x\""}`:     "*** Begin\n\"x\"",
		`{"other":1,"input":"x"}`:          "x",
		`{"other":"y","input":"x"}`:        "x",
		`{"patch":"x"}`:                    "x",
		`{"patch":"x","explanation":"y"}`:  "x",
		`{"text":"x","count":3}`:           "x",
		`{"input":["apply_patch","x"]}`:    "x",
		`["bash","-lc","x"]`:               "x",
		`"x"`:                              "x",
		`{}`:                               "",
		`{"a":"x","b":"y"}`:                `{"a":"x","b":"y"}`,
		`{"a":"*** Begin Patch","b":"y"}`:  "*** Begin Patch",
		`{"input":7}`:                      `{"input":7}`,
		`[]`:                               `[]`,
		`not JSON`:                         `not JSON`,
		"{\"input\":\"```\\ncode\\n```\"}": "```\ncode\n```",
	} {
		if got := openai.CustomInput("edit", []byte(arguments)); got != want {
			t.Errorf("%s: %q, want %q", arguments, got, want)
		}
	}
}

// What stands around a patch is taken off, whatever shape the arguments have.
func TestCustomInputOfAPatch(t *testing.T) {
	const patch = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"
	for _, around := range []string{patch, "```diff\n" + patch + "\n```", "apply_patch <<'EOF'\n" + patch + "\nEOF\n", "Here:\n" + patch} {
		quoted := string(openai.AppendString(nil, around))
		for _, arguments := range []string{`{"input":` + quoted + `}`, `{"patch":` + quoted + `,"why":"y"}`, `["apply_patch",` + quoted + `]`, quoted, around} {
			if got := openai.CustomInput("apply_patch", []byte(arguments)); got != patch {
				t.Errorf("%s: %q", arguments, got)
			}
		}
	}
}

func FuzzCustomInput(f *testing.F) {
	f.Add("*** Begin Patch\n+é\u2028")
	f.Fuzz(func(t *testing.T, input string) {
		want := strings.ToValidUTF8(input, "")
		if got := openai.CustomInput("edit", openai.CustomArguments(want)); got != want {
			t.Errorf("%q came back as %q", want, got)
		}
		openai.CustomInput("apply_patch", []byte(input))
	})
}
