package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"composer-api/internal/api/chat"
)

// Twice as much of anything may cost about twice as many allocations. Time isn't measured, because it differs from one
// machine to the next.
func TestTheWorkGrowsWithTheInput(t *testing.T) {
	list := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const hello = `"messages":[{"role":"user","content":"x"}]`
	for name, members := range map[string]func(n int) string{
		"messages": func(n int) string { return `"messages":[` + list(n, `{"role":"user","content":"%d"}`) + `]` },
		"parts": func(n int) string {
			return `"messages":[{"role":"user","content":[` + list(n, `{"type":"text","text":"%d"}`) + `]}]`
		},
		"calls and results": func(n int) string {
			return `"messages":[{"role":"assistant","tool_calls":[` + list(n, `{"id":"%d","function":{"name":"f"}}`) + `]},` +
				list(n, `{"role":"tool","tool_call_id":"%d"}`) + `]`
		},
		"functions and results": func(n int) string {
			return `"messages":[` + list(n, `{"role":"assistant","function_call":{"name":"f%d"}}`) + `,` + list(n, `{"role":"function","name":"f%d"}`) + `]`
		},
		"tools": func(n int) string { return hello + `,"tools":[` + list(n, `{"function":{"name":"f%d"}}`) + `]` },
		"allowed tools": func(n int) string {
			return hello + `,"tools":[` + list(n, `{"function":{"name":"f%d"}}`) + `],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[` +
				list(n, `{"type":"function","function":{"name":"f%d"}}`) + `]}}`
		},
		"items": func(n int) string {
			return `"input":[` + list(n, `{"type":"function_call","call_id":"%d","name":"f"}`) + `,` + list(n, `{"type":"function_call_output","call_id":"%d"}`) + `]`
		},
	} {
		t.Run(name, func(t *testing.T) {
			allocations := func(n int) float64 {
				body := []byte(`{"model":"m",` + members(n) + `}`)
				return testing.AllocsPerRun(1, func() {
					if _, err := chat.Decode(body); err != nil {
						t.Fatal(err)
					}
				})
			}
			one, two := allocations(500), allocations(1000)
			if two > 2.5*one {
				t.Errorf("%v allocations for 500, %v for 1000", one, two)
			}
		})
	}
}

// The last call of a name that has no result is the one that a result of the role function answers.
func TestFunctionResultsAnswerTheLastOpenCall(t *testing.T) {
	req, err := chat.Decode([]byte(`{"model":"m","messages":[
		{"role":"assistant","function_call":{"name":"f"}},
		{"role":"assistant","function_call":{"name":"f"}},
		{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]},
		{"role":"tool","tool_call_id":"c"},
		{"role":"function","name":"f"},
		{"role":"function","name":"f"}]}`))
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
