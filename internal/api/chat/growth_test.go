package chat_test

import (
	"strings"
	"testing"

	"composer-api/internal/api/apitest"
	"composer-api/internal/api/chat"

	"composer-api/internal/api/known"
)

// Twice as much of anything may cost about twice as many allocations. Time isn't measured, because it differs from one
// machine to the next.
func TestTheWorkGrowsWithTheInput(t *testing.T) {
	const hello = `"messages":[{"role":"user","content":"x"}]`
	apitest.CheckGrowth(t, map[string]func(n int) string{
		"messages": func(n int) string { return `"messages":[` + apitest.List(n, `{"role":"user","content":"%d"}`) + `]` },
		"parts": func(n int) string {
			return `"messages":[{"role":"user","content":[` + apitest.List(n, `{"type":"text","text":"%d"}`) + `]}]`
		},
		"calls and results": func(n int) string {
			return `"messages":[{"role":"assistant","tool_calls":[` + apitest.List(n, `{"id":"%d","function":{"name":"f"}}`) + `]},` +
				apitest.List(n, `{"role":"tool","tool_call_id":"%d"}`) + `]`
		},
		"functions and results": func(n int) string {
			return `"messages":[` + apitest.List(n, `{"role":"assistant","function_call":{"name":"f%d"}}`) + `,` + apitest.List(n, `{"role":"function","name":"f%d"}`) + `]`
		},
		"tools": func(n int) string { return hello + `,"tools":[` + apitest.List(n, `{"function":{"name":"f%d"}}`) + `]` },
		"allowed tools": func(n int) string {
			return hello + `,"tools":[` + apitest.List(n, `{"function":{"name":"f%d"}}`) + `],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[` +
				apitest.List(n, `{"type":"function","function":{"name":"f%d"}}`) + `]}}`
		},
		"items": func(n int) string {
			return `"input":[` + apitest.List(n, `{"type":"function_call","call_id":"%d","name":"f"}`) + `,` + apitest.List(n, `{"type":"function_call_output","call_id":"%d"}`) + `]`
		},
	}, func(members string) error {
		_, err := chat.Decode([]byte(`{"model":"m",`+members+`}`), known.Sender{})
		return err
	})
}

// The last call of a name that has no result is the one that a result of the role function answers.
func TestFunctionResultsAnswerTheLastOpenCall(t *testing.T) {
	req, err := chat.Decode([]byte(`{"model":"m","messages":[
		{"role":"assistant","function_call":{"name":"f"}},
		{"role":"assistant","function_call":{"name":"f"}},
		{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]},
		{"role":"tool","tool_call_id":"c"},
		{"role":"function","name":"f"},
		{"role":"function","name":"f"}]}`), known.Sender{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range req.Messages[3:] {
		ids = append(ids, m.CallID)
	}
	if got := strings.Join(ids, " "); got != "c call_function_1 call_function_0" {
		t.Errorf("answered: %s", got)
	}
}
