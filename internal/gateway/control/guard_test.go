package control_test

import (
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/gateway/control"
)

// A client may send what the model said before a call as a message of its own: the row goes on. Only the user's word after
// such a message begins another.
func TestWordsBeforeACallEndNoRow(t *testing.T) {
	says := func(role agent.Role) agent.Message {
		return agent.Message{Role: role, Parts: []agent.Part{{Text: "words"}}}
	}
	call := agent.Message{Role: agent.Assistant, Calls: []agent.ToolCall{{ID: "call_1", Name: "look", Arguments: []byte(`{}`)}}}
	result := agent.Message{Role: agent.ToolRole, CallID: "call_1", Parts: []agent.Part{{Text: "dark"}}}
	for between, want := range map[agent.Role]agent.Code{agent.Assistant: agent.RepeatedToolCall, agent.User: 0} {
		layer := control.New(control.Config{MaxRepeats: 2, SameCall: func(a, b *agent.ToolCall) bool { return a.Name == b.Name }})
		req := backendtest.Request("hello")
		req.Messages = append(req.Messages, call, result, says(agent.Assistant))
		if between == agent.User {
			req.Messages = append(req.Messages, says(agent.User))
		}
		req.Messages = append(req.Messages, call, result)
		fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
			return backendtest.Turns{{backendtest.CallTool("call_2", "look", `{}`), backendtest.Wait()}}, nil
		})
		turn, err := layer.Turn(req, control.Account{})
		if err != nil {
			t.Fatal(err)
		}
		run, err := layer.Start(t.Context(), turn, fake, req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = backendtest.Collect(t.Context(), run)
		run.Close()
		if err == nil && want != 0 || err != nil && agent.CodeOf(err) != want {
			t.Errorf("with words of the %v between: %v", between, err)
		}
	}
}
