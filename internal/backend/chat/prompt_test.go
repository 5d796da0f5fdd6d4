package chat

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/chat/markup"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A conversation is a request in JSON, with the fields that a prompt depends on.
type conversation struct {
	Force   bool // Agent mode without tools
	Serial  bool
	Choice  string // none, required, or the name of the required tool
	Format  agent.Format
	Tools   []agent.Tool
	History []struct {
		Role, Name, Text string
		Images           int
		Calls            []agent.ToolCall
		CallID           string
		IsError          bool
	}
}

func (c *conversation) request(t *testing.T) *agent.Request {
	t.Helper()
	roles := map[string]agent.Role{"system": agent.System, "user": agent.User, "assistant": agent.Assistant, "tool": agent.ToolRole}
	req := &agent.Request{Tools: c.Tools, SerialToolCalls: c.Serial, Format: c.Format}
	switch c.Choice {
	case "":
	case "none":
		req.ToolChoice.Mode = agent.ToolsNone
	case "required":
		req.ToolChoice.Mode = agent.ToolsRequired
	default:
		req.ToolChoice = agent.ToolChoice{Mode: agent.ToolsRequired, Names: []string{c.Choice}}
	}
	for _, h := range c.History {
		m := agent.Message{Role: roles[h.Role], Name: h.Name, Calls: h.Calls, CallID: h.CallID, IsError: h.IsError}
		if m.Role == 0 {
			t.Fatalf("role %q", h.Role)
		}
		if h.Text != "" {
			m.Parts = append(m.Parts, agent.Part{Text: h.Text})
		}
		for range h.Images {
			m.Parts = append(m.Parts, agent.Part{Image: &agent.Image{}})
		}
		req.Messages = append(req.Messages, m)
	}
	return req
}

// Each file of testdata/prompt holds why, a request, and the prompt that the model reads.
func TestPrompts(t *testing.T) {
	files, err := filepath.Glob("testdata/prompt/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var c conversation
			d := json.NewDecoder(bytes.NewReader(archive.Files[0].Data))
			d.DisallowUnknownFields()
			if err := d.Decode(&c); err != nil {
				t.Fatal(err)
			}
			req := c.request(t)
			m := askMode
			if c.Force || len(req.Offered()) > 0 {
				m = agentMode
			}
			got := render(req, m).text + "\n"
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "prompt", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(archive.Files) != 2 || archive.Files[1].Name != "prompt" {
				t.Fatal("the case holds no prompt; run with -update")
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// What we write of earlier calls is what we read of new ones.
func TestEarlierCallsAreWrittenAsTheyAreRead(t *testing.T) {
	tools := []agent.Tool{{Name: "edit", Parameters: json.RawMessage(`{"properties":{"path":{"type":"string"},"n":{"type":"integer"}}}`)}}
	for _, arguments := range []string{
		`{}`, `{"path":"a.go"}`, `{"path":"true","n":7}`, `{"path":"\n a\n\n","other":{"a":[1,2]},"flag":false}`, `{"path":"<b>|</b> | \"q\""}`,
	} {
		block := markup.Block(markup.AppendCall(nil, "edit", json.RawMessage(arguments)))
		var got string
		f := markup.CallFilter{Tools: tools, Text: func(p []byte) { got += "text " + string(p) }, Call: func(name string, a json.RawMessage) { got += name + string(a) }}
		f.Write(block)
		f.End()
		name, a, _ := strings.Cut(got, "{")
		if name != "edit" || !sameJSON("{"+a, arguments) {
			t.Errorf("%s came back as %s", arguments, got)
		}
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && cmp.Equal(x, y)
}
