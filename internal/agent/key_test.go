package agent_test

import (
	"strings"
	"testing"

	"composer-api/internal/agent"
)

func TestAKeyThatWasCopiedWronglyIsKnownByItsForm(t *testing.T) {
	for key, want := range map[string]string{
		"crsr_0123456789abcdef": "",
		"key_0123456789abcdef":  "",
		"sk-ant-api03_x-Y.z":    "",
		"sk-local":              "",
		"Bearer crsr_abc":       "Bearer",
		"bearer crsr_abc":       "Bearer",
		`"crsr_abc"`:            "quotes",
		"'crsr_abc'":            "quotes",
		"“crsr_abc”":            "quotes",
		"crsr_…":                "placeholder",
		"crsr_...":              "placeholder",
		"$CURSOR_API_KEY":       "placeholder",
		"${CURSOR_API_KEY}":     "placeholder",
		"{env:CURSOR_API_KEY}":  "placeholder",
		"%CURSOR_API_KEY%":      "placeholder",
		"<your key>":            "placeholder",
		"crsr_abc crsr_def":     "blank",
		"crsr_abc\r\ncrsr_def":  "blank",
		"crsr_abc\x00":          "characters",
		"crsr_аbc":              "characters", // a Cyrillic letter
	} {
		problem, cure := agent.KeyFault(key)
		if want == "" && problem+cure != "" || !strings.Contains(problem, want) || (problem == "") != (cure == "") {
			t.Errorf("%q: %q, %q; want something of %q", key, problem, cure, want)
		}
		if strings.Contains(problem+cure, "abc") {
			t.Errorf("%q is repeated: %q, %q", key, problem, cure)
		}
	}
}
