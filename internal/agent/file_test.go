package agent_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
)

func TestFilesBecomeTexts(t *testing.T) {
	read := func(f *agent.File) (string, error) {
		if string(f.Data) == "busy" {
			return "", &agent.Error{Code: agent.Overloaded}
		}
		return "text of " + string(f.Data), nil
	}
	file := func(data string) agent.Part { return agent.Part{File: &agent.File{Name: "a.pdf", Data: []byte(data)}} }
	broken := agent.Part{File: &agent.File{Fault: agent.Errorf(agent.InvalidValue, "It is broken.")}}
	said := agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: "Yes."}}}
	user := func(parts ...agent.Part) agent.Message { return agent.Message{Role: agent.User, Parts: parts} }

	before := []agent.Message{user(file("one"), broken), said, user(agent.Part{Text: "And?"}, file("two"))}
	got, err := agent.ReadFiles(before, read)
	want := []agent.Message{
		user(agent.Part{Text: "<file name=\"a.pdf\">\ntext of one\n</file>\n"}, agent.Part{Text: "[There was a file here. It is broken.]"}),
		said, user(agent.Part{Text: "And?"}, agent.Part{Text: "<file name=\"a.pdf\">\ntext of two\n</file>\n"}),
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if before[0].Parts[0].File == nil {
		t.Error("the messages that were given are changed")
	}
	for name, messages := range map[string][]agent.Message{
		"a broken one that is new":          {said, user(broken)},
		"an old one that can't be read now": {user(file("busy")), said, user()},
	} {
		if got, err := agent.ReadFiles(messages, read); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	plain := []agent.Message{user(agent.Part{Text: "Hi"})}
	if got, err := agent.ReadFiles(plain, nil); err != nil || &got[0] != &plain[0] {
		t.Errorf("without files: %v, %v", got, err)
	}
}
