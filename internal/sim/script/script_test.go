package script

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/golden"
)

// TestTranscripts plays each testdata file: "facts", "prompt" and "script" in, the steps that a
// player yields out, in "played", which is the last file. The results of calls are "result-1", "result-2" and so on of the
// file, else "ok N".
func TestTranscripts(t *testing.T) {
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, file *golden.Case) {
		c := map[string]string{}
		for _, f := range file.Files {
			c[f.Name] = string(f.Data)
		}
		var list Playlist
		if text, ok := c["script"]; ok {
			s, err := Parse("script", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			list.Set(s)
		}
		file.Want(t, "played", transcript(list.Player(facts(c["facts"], c["prompt"])), c))
	})
}

// facts reads lines of words: "tools read write", "continued", "resume", "images 2", "attempt 2", "model x".
func facts(text, prompt string) Facts {
	f := Facts{Prompt: strings.TrimSuffix(prompt, "\n"), Model: "composer-2.5;fast=false"}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch words[0] {
		case "tools":
			f.Tools = words[1:]
		case "continued":
			f.Continued = true
		case "resume":
			f.Resume = true
		case "images":
			fmt.Sscan(words[1], &f.Images)
		case "attempt":
			fmt.Sscan(words[1], &f.Attempt)
		}
	}
	return f
}

func transcript(p *Player, c map[string]string) string {
	var b strings.Builder
	for range 200 {
		step, ok := p.Next()
		if !ok {
			break
		}
		b.WriteString(step.format() + "\n")
		calls, _ := step.(Calls)
		for _, inner := range calls.Steps {
			call, ok := inner.(Call)
			if !ok {
				continue
			}
			r := Result{Text: fmt.Sprintf("ok %d", call.N)}
			if text, ok := c[fmt.Sprintf("result-%d", call.N)]; ok {
				r.Text = strings.TrimSuffix(text, "\n")
			}
			if text, ok := c[fmt.Sprintf("error-%d", call.N)]; ok {
				r = Result{strings.TrimSuffix(text, "\n"), true}
			}
			p.Result(call.N, r)
		}
	}
	for _, failed := range p.Failed() {
		b.WriteString("failed: " + failed + "\n")
	}
	return b.String()
}

func TestScriptIsWrittenAsItIsRead(t *testing.T) {
	everything := everyStep(t)
	s, err := Parse("everything", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everything, s.String()); diff != "" {
		t.Errorf("(-file +written):\n%s", diff)
	}
	for verb := range verbs {
		if !strings.Contains("\n"+everything, "\n"+verb) {
			t.Errorf("testdata/everything.script has no %s", verb)
		}
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for verb := range verbs {
		if !strings.Contains(string(doc), "\n//\t"+verb) {
			t.Errorf("doc.go does not list %s", verb)
		}
	}
}

func everyStep(t testing.TB) string {
	data, err := os.ReadFile("testdata/everything.script")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"text a\nshout b", `s:2: unknown step "shout"`},
		{"text", `s:1: text: a text is missing`},
		{"text \"open", `s:1: text: a text in double quotes is needed`},
		{"text \"a\" b", `s:1: text: unexpected "b"`},
		{"call read", `s:1: call: a tool's name and then a JSON object are needed`},
		{"call read [1]", `s:1: call: a tool's name and then a JSON object are needed`},
		{"call read {", `s:1: call: unexpected end of JSON input`},
		{"calls\ntext a", `s: calls without end`},
		{"calls\nend", `s:2: calls without a call`},
		{"calls\ncalls", `s:2: calls within calls`},
		{"calls\nturn", `s:2: calls without end`},
		{"calls\ncall a {}\ncut\nend", `s:3: cut can't stand between calls and end`},
		{"end", `s:1: unknown step "end"`},
		{"turn if tools", `s:1: turn: "if" where "when" could stand`},
		{"turn when tools, images", `s:1: turn: unknown condition "tools,"`},
		{"turn when prompt title", `s:1: turn: a text in double quotes is needed`},
		{"turn times 0", `s:1: turn times: "0" is not a number of at least 1`},
		{"delay 5", `s:1: delay: "5" is not a duration such as 200ms`},
		{"error oops", `s:1: error: "oops" is none of canceled, unknown, `},
		{"error internal detail=x", `s:1: error: "x" is not a number of at least 1`},
		{"text a\nstatus 401", `s:2: status must be the turn's first step`},
		{"status 99", `s:1: status: an HTTP status from 200 to 599 is needed`},
		{"usage words=1", `s:1: usage: unknown kind of token "words"`},
		{"garbage in", `s:1: garbage: "in" is none of payload, gzip, length, end`},
		{"cut off", `s:1: cut: unexpected "off"`},
		{"checkpoint 1", `s:1: checkpoint: "" is not a number of at least 1`},
		{"expect thanks x", `s:1: expect: "thanks" is none of prompt, `},
	} {
		_, err := Parse("s", []byte(c.script))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.script, err, c.want)
		}
	}
}

func TestPlaylistGivesEachRunTheFirstFittingTurnLeft(t *testing.T) {
	s, err := Parse("s", []byte(`
turn when tools
text one with tools
turn times 2
text two
turn when attempt 2
text again
turn always
text always
`))
	if err != nil {
		t.Fatal(err)
	}
	var list Playlist
	list.Set(s)
	tools := Facts{Tools: []string{"read"}}
	var got []string
	for _, f := range []Facts{{}, tools, tools, {}, {Attempt: 2}, {Attempt: 2}} {
		step, _ := list.Player(f).Next()
		got = append(got, step.(Text).Text)
	}
	want := []string{"two", "one with tools", "two", "always", "again", "always"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if list.Left() != 1 {
		t.Errorf("%d turns left, want the one that is always there", list.Left())
	}
}

func TestLibraryIsReadable(t *testing.T) {
	if _, err := library(); err != nil {
		t.Fatal(err)
	}
	if len(names()) == 0 {
		t.Fatal("no names")
	}
	if _, err := Named("nobody"); err == nil {
		t.Error("found a script that does not exist")
	}
}

func TestManyPiecesAreNotMadeAtOnce(t *testing.T) {
	p := newPlayer([]Step{Many{1e9, time.Millisecond, "x"}}, Facts{})
	for range 4 {
		if _, ok := p.Next(); !ok {
			t.Fatal("over too early")
		}
	}
	if len(p.todo) > 2 {
		t.Errorf("%d steps are waiting", len(p.todo))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everyStep(f))
	f.Add("sim: text hello\nsim: error internal Ouch")
	f.Add("error internal \"detail=1\"\nerror internal a=b")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("fuzz", []byte(text))
		if err != nil {
			return
		}
		again, err := Parse("fuzz", []byte(s.String()))
		if err != nil {
			t.Fatalf("can't read back %q: %v", s, err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatalf("differs after %q:\n%s", s, diff)
		}
	})
}

func FuzzFromPrompt(f *testing.F) {
	f.Add("Please\nsim: text hello\nand\n```sim\ntext a\n```\nend")
	f.Add("\"sim: call read {}\"")
	f.Fuzz(func(t *testing.T, prompt string) {
		var list Playlist
		p := list.Player(Facts{Prompt: prompt, Tools: []string{"read"}})
		for range 50 {
			if _, ok := p.Next(); !ok {
				break
			}
		}
	})
}
