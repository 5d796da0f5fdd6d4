package cli_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
)

// A functionsChat is a client that knows only the deprecated functions, whose calls have no ids.
type functionsChat struct {
	history []json.RawMessage
}

// ask sends the conversation and adds the answer to it. It returns what the answer continued and the call that it asks for.
func (c *functionsChat) ask(t *testing.T, s *server, message string) (resume, call string) {
	t.Helper()
	c.history = append(c.history, json.RawMessage(message))
	body, err := json.Marshal(map[string]any{
		"model": "composer-2.5", "messages": c.history,
		"functions": []any{map[string]any{"name": "look", "parameters": map[string]any{"type": "object"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	resp := s.post(t, string(body), "Authorization", "Bearer crsr_functions")
	answer := bodyOf(t, resp)
	var doc struct {
		Choices []struct{ Message json.RawMessage }
	}
	if err := json.Unmarshal([]byte(answer), &doc); err != nil || resp.StatusCode != http.StatusOK || len(doc.Choices) != 1 {
		t.Fatalf("status %d: %s", resp.StatusCode, answer)
	}
	c.history = append(c.history, doc.Choices[0].Message)
	var said struct {
		Content      string
		FunctionCall struct{ Name, Arguments string } `json:"function_call"`
	}
	if err := json.Unmarshal(doc.Choices[0].Message, &said); err != nil {
		t.Fatal(err)
	}
	return resp.Header.Get("X-Composer-Resume"), said.FunctionCall.Arguments + said.Content
}

func TestALoopOfDeprecatedFunctionsIsOneRun(t *testing.T) {
	environ := exports(t, "COMPOSER_DB="+filepath.Join(t.TempDir(), "composer.db"))
	s := serve(t, environ)
	var c functionsChat
	before := len(runsOf(t, environ))
	for i, step := range []struct{ message, resume, says string }{
		{`{"role":"user","content":"sim: call look {\"at\":1}\nsim: call look {\"at\":1}\nsim: call look {\"at\":2}\nsim: text {results}"}`, "new", `{"at":1}`},
		{`{"role":"function","name":"look","content":"a"}`, "parked", `{"at":1}`},
		{`{"role":"function","name":"look","content":"b"}`, "parked", `{"at":2}`},
		{`{"role":"function","name":"look","content":"c"}`, "parked", "a\nb\nc"},
	} {
		if resume, says := c.ask(t, s, step.message); resume != step.resume || says != step.says {
			t.Errorf("step %d: resume %q, says %q", i, resume, says)
		}
	}
	if n := len(runsOf(t, environ)) - before; n != 1 {
		t.Errorf("%d runs upstream", n)
	}
}
