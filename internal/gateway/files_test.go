package gateway

import (
	"context"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

// A fileReader reads files as their bytes, unless they say that they can't be read.
type fileReader struct{ read []string }

func (f *fileReader) Read(_ context.Context, _ string, file *agent.File) (string, error) {
	f.read = append(f.read, string(file.Data))
	if strings.HasPrefix(string(file.Data), "bad") {
		return "", agent.ParamError(agent.InvalidValue, file.Param, "It is bad.")
	}
	return "the text of " + string(file.Data), nil
}

func file(data string) []agent.Part {
	return []agent.Part{{File: &agent.File{Name: data + ".pdf", Data: []byte(data), Param: "messages[0]"}}}
}

// What the model has seen of a file is its text, so a client that sends the file again with its history keeps its run.
func TestFilesAreTextsForTheModel(t *testing.T) {
	files := &fileReader{}
	fake := twoCalls()
	g := New(Config{Backends: []agent.Backend{fake}, Files: files})
	defer g.Close(context.Background())
	c := newChat(t, g)
	c.history = append(c.history, agent.Message{Role: agent.User, Parts: file("one")})
	c.must(agent.ResumeNew, "let me see ")
	if got := fake.Runs()[0].Request.Messages[0].Parts[0]; got.File != nil || got.Text != "<file name=\"one.pdf\">\nthe text of one\n</file>\n" {
		t.Errorf("the model got %+v", got)
	}
	c.history[0].Parts = file("one") // the client sends its history anew
	c.result("call_1", "a")
	c.result("call_2", "b")
	c.must(agent.ResumeParked, "seen")
}

func TestAFileThatCannotBeReadIsAnErrorWhenItIsNew(t *testing.T) {
	for name, reader := range map[string]FileReader{"a bad file": &fileReader{}, "no reader": nil} {
		g := New(Config{Backends: []agent.Backend{twoCalls()}, Files: reader})
		c := newChat(t, g)
		c.history = append(c.history, agent.Message{Role: agent.User, Parts: file("bad")})
		var r recorder
		err := g.Turn(t.Context(), c.request(), &r)
		if code := agent.CodeOf(err); code != agent.InvalidValue && code != agent.UnsupportedValue || agent.AsError(err).Param != "messages[0]" {
			t.Errorf("%s: %v", name, err)
		}
		g.Close(context.Background())
	}
}
