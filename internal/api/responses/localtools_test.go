package responses

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/api/known"
	"composer-api/internal/api/published"
	"composer-api/internal/api/responses/responsestest"
)

// A call of a tool that OpenAI has defined comes as the item that OpenAI has for it, whatever shape the model gave its
// arguments.
func TestCallsOfTheShellAndOfPatchesComeAsTheirItems(t *testing.T) {
	for _, c := range []struct{ tool, arguments, want string }{
		{"shell", `{"commands":["ls","pwd"],"timeout_ms":1000,"max_output_length":5}`, `"action":{"commands":["ls","pwd"],"timeout_ms":1000,"max_output_length":5},"environment":{"type":"local"}`},
		{"shell", `{"commands":"ls"}`, `"action":{"commands":["ls"],"timeout_ms":null,"max_output_length":null}`},
		{"shell", `{"command":"ls","timeout_ms":"soon"}`, `"action":{"commands":["ls"],"timeout_ms":null,"max_output_length":null}`},
		{"shell", `{"command":["ls"]}`, `"action":{"commands":["ls"],`},
		{"shell", `[]`, `"action":{"commands":[],`},
		{"apply_patch", `{"type":"create_file","path":"a","diff":"+x"}`, `"operation":{"type":"create_file","path":"a","diff":"+x"}`},
		{"apply_patch", `{"type":"delete_file","path":"a","diff":"+x"}`, `"operation":{"type":"delete_file","path":"a"}`},
		{"apply_patch", `{"operation":{"type":"update_file","path":"a","diff":"@@"}}`, `"operation":{"type":"update_file","path":"a","diff":"@@"}`},
		{"apply_patch", `{"type":"remove","path":"a"}`, `"operation":{"type":"update_file","path":"a","diff":""}`},
	} {
		var out memory
		e := NewStream(decodeTest(t, `{"model":"m","input":"go","tools":[{"type":"shell"},{"type":"apply_patch"}]}`), testOptions(), &out)
		play(t, e, []agent.Event{
			{Kind: agent.Call, Call: &agent.ToolCall{ID: "call_1", Name: c.tool, Arguments: []byte(c.arguments)}},
			{Kind: agent.UsageKind, Usage: &agent.Usage{}}, {Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.ToolCalls}},
		}, nil)
		item := e.Response().Output[0]
		published.Valid(t, "OutputItem", item)
		want := []string{"response.created", "response.in_progress", "response.output_item.added", "response.output_item.done", "response.completed"}
		if diff := cmp.Diff(want, responsestest.Types(responsestest.Stream(t, out.b))); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(string(item), `"type":"`+c.tool+`_call","status":"completed","call_id":"call_1",`+c.want) {
			t.Errorf("%s %s became %s", c.tool, c.arguments, item)
		}
	}
}

// A run that waits for the result of a call is known by what was called: the item that the client sends back means the
// call that the model made.
func TestTheItemsOfTheShellAndOfPatchesMeanTheCallsThatTheyWere(t *testing.T) {
	for _, c := range []struct{ tool, arguments string }{
		{"shell", `{"commands":["ls"]}`},
		{"shell", `{"commands":["ls","pwd"],"timeout_ms":1000,"max_output_length":5}`},
		{"apply_patch", `{"type":"create_file","path":"a","diff":"+x"}`},
		{"apply_patch", `{"type":"delete_file","path":"a"}`},
	} {
		const tools = `"tools":[{"type":"shell"},{"type":"apply_patch"}],`
		e := NewBody(decodeTest(t, `{"model":"m",`+tools+`"input":"go"}`), testOptions())
		play(t, e, []agent.Event{{Kind: agent.Call, Call: &agent.ToolCall{ID: "call_1", Name: c.tool, Arguments: []byte(c.arguments)}}}, nil)
		req, err := Decode([]byte(`{"model":"m",`+tools+`"input":["go",`+string(e.Response().Output[0])+`]}`), known.Sender{})
		if err != nil {
			t.Fatal(err)
		}
		turn, _, err := req.Turn(nil, openTest)
		if err != nil {
			t.Fatal(err)
		}
		if got := turn.Messages[1].Calls[0]; got.Name != c.tool || string(got.Arguments) != c.arguments {
			t.Errorf("%s %s became %s %s", c.tool, c.arguments, got.Name, got.Arguments)
		}
	}
}
