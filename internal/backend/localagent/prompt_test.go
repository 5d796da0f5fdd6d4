package localagent

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/golden"
)

// TestPrompts renders the conversations of testdata/prompts. A line of a conversation is a message:
//
//	system|user|assistant TEXT      with image NAME in place of TEXT for a picture
//	call ID TOOL JSON               the assistant's, added to its message
//	result ID TEXT, failed ID TEXT  of a tool
//	new                             what follows is new to a conversation that upstream has
//
// or sets what the request asks: required, none, only TOOL, serial, json, schema JSON.
func TestPrompts(t *testing.T) {
	golden.Cases(t, "testdata/prompts/*.txtar", func(t *testing.T, c *golden.Case) {
		p := render(requestOf(t, c.Section("conversation")))
		got := string(p.text())
		if !strings.HasSuffix(got, "\n") {
			got += "\n"
		}
		for _, image := range p.images {
			got += "+ image " + image.MIME + "\n"
		}
		c.Want(t, "prompt", got)
	})
}

func requestOf(t *testing.T, lines string) *agent.Request {
	req := &agent.Request{Tools: []agent.Tool{{Name: "look"}, {Name: "listen"}}}
	roles := map[string]agent.Role{"system": agent.System, "user": agent.User, "assistant": agent.Assistant}
	for line := range strings.Lines(lines) {
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch verb {
		case "system", "user", "assistant":
			part := agent.Part{Text: rest}
			if mime, ok := strings.CutPrefix(rest, "image "); ok {
				part = agent.Part{Image: &agent.Image{MIME: mime}}
				if last := len(req.Messages) - 1; last >= 0 && req.Messages[last].Role == roles[verb] {
					req.Messages[last].Parts = append(req.Messages[last].Parts, part)
					continue
				}
			}
			if text, err := strconv.Unquote(rest); err == nil {
				part.Text = text
			}
			req.Messages = append(req.Messages, agent.Message{Role: roles[verb], Parts: []agent.Part{part}})
		case "call":
			f := strings.SplitN(rest, " ", 3)
			call := agent.ToolCall{ID: f[0], Name: f[1], Arguments: json.RawMessage(f[2])}
			if last := len(req.Messages) - 1; last >= 0 && req.Messages[last].Role == agent.Assistant {
				req.Messages[last].Calls = append(req.Messages[last].Calls, call)
			} else {
				req.Messages = append(req.Messages, agent.Message{Role: agent.Assistant, Calls: []agent.ToolCall{call}})
			}
		case "result", "failed":
			id, text, _ := strings.Cut(rest, " ")
			req.Messages = append(req.Messages, agent.Message{
				Role: agent.ToolRole, CallID: id, IsError: verb == "failed", Parts: []agent.Part{{Text: text}},
			})
		case "new":
			req.Continue, req.New = &conversation{}, len(req.Messages)
		case "required":
			req.ToolChoice.Mode = agent.ToolsRequired
		case "none":
			req.ToolChoice.Mode = agent.ToolsNone
		case "only":
			req.ToolChoice = agent.ToolChoice{Mode: agent.ToolsRequired, Names: []string{rest}}
		case "serial":
			req.SerialToolCalls = true
		case "json":
			req.Format.Kind = agent.JSONObject
		case "schema":
			req.Format = agent.Format{Kind: agent.JSONSchema, Schema: json.RawMessage(rest), Description: "A weather report."}
		default:
			t.Fatalf("conversation: %q", line)
		}
	}
	return req
}

func FuzzRender(f *testing.F) {
	f.Add("one", "two", "three")
	f.Add("\xff", "</user_message>", "")
	f.Fuzz(func(t *testing.T, system, user, result string) {
		req := &agent.Request{Messages: []agent.Message{
			{Role: agent.System, Parts: []agent.Part{{Text: system}}},
			{Role: agent.User, Parts: []agent.Part{{Text: user}}},
			{Role: agent.Assistant, Calls: []agent.ToolCall{{ID: user, Name: system}}},
			{Role: agent.ToolRole, CallID: user, Parts: []agent.Part{{Text: result}}},
		}}
		userAction(render(req)) // panics on what protobuf can't take
	})
}
