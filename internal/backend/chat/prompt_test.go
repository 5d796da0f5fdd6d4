package chat

import (
	"encoding/json"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/markup"
	"composer-api/internal/golden"

	"github.com/google/go-cmp/cmp"
)

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
	golden.Cases(t, "testdata/prompt/*.txtar", func(t *testing.T, file *golden.Case) {
		var c conversation
		d := json.NewDecoder(strings.NewReader(file.Section("request")))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			t.Fatal(err)
		}
		req := c.request(t)
		m := askMode
		if c.Force || len(req.Offered()) > 0 {
			m = agentMode
		}
		file.Want(t, "prompt", render(req, m).text+"\n")
	})
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
