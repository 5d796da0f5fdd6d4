package apitest

import (
	"path/filepath"
	"testing"

	"composer-api/internal/agent"
)

func TestEveryErrorThatReachesAClientHasItsCases(t *testing.T) {
	for _, file := range []string{"errors-before.txtar", "errors-midstream.txtar"} {
		c, err := readCase(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range agent.Codes() {
			if code == agent.Canceled || code == agent.ConversationLost { // these never reach a client
				continue
			}
			if _, ok := c.files["events "+code.String()]; !ok {
				t.Errorf("%s has no events for %s", file, code)
			}
		}
	}
}

func TestScriptErrorsNameTheLine(t *testing.T) {
	for script, want := range map[string]string{
		"sing \"a\"":          `line 1: "sing" is none of ["accept" "call" "done" "fail" "flush" "reasoning" "refusal" "text" "usage"]`,
		"flush\ntext a":       "line 2: text: invalid syntax",
		"accept localagent":   "line 1: accept: want upstream, resume and model",
		"call id name {":      "line 1: call: want an id, a name and arguments as JSON",
		"usage input=1 x=2":   `line 1: usage: "x" is not known`,
		"done later":          `line 1: done: "later" is no reason`,
		"fail nonsense":       `line 1: fail: "nonsense" is no code`,
		"fail internal why=x": `line 1: fail: "why" is not known`,
	} {
		if _, err := parseScript(script); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", script, err, want)
		}
	}
}
