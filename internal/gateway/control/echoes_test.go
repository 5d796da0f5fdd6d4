package control_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"composer-api/internal/api"
)

// What clients send back of a call is rarely what the model wrote: a custom tool's input without the JSON and the fence
// around it, the thinking before the call as text, words of the client's own. The run goes on with all of it, and what the
// client has added never becomes the model's answer.
func TestEchoesOnTheWire(t *testing.T) {
	const patch = "*** Begin Patch\n*** Delete File: a\n*** End Patch"
	fenced, err := json.Marshal("```\n" + patch + "\n```")
	if err != nil {
		t.Fatal(err)
	}
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	const chatTools = `"tools":[{"type":"custom","custom":{"name":"apply_patch"}},{"type":"function","function":{"name":"look"}}]`
	const responsesTools = `"tools":[{"type":"custom","name":"apply_patch"},{"type":"function","name":"look"}]`
	for name, c := range map[string]struct {
		script  string
		handler func(*world) api.Handler
		first   string
		second  func(call string) string // the body that brings the result of the call with this id
	}{
		"chat: a custom tool": {
			"call apply_patch {\"patch\":" + string(fenced) + "}", chatHandler, chatTools + `,"messages":[{"role":"user","content":"Go."}]`,
			func(call string) string {
				return fmt.Sprintf(`%s,"messages":[{"role":"user","content":"Go."},{"role":"assistant","content":null,"tool_calls":[{"id":%q,"type":"custom","custom":{"name":"apply_patch","input":%s}}]},{"role":"tool","tool_call_id":%q,"content":"done"}]`, chatTools, call, quoted(patch), call)
			},
		},
		"responses: a custom tool": {
			"call apply_patch {\"patch\":" + string(fenced) + "}", responsesHandler, responsesTools + `,"input":[{"role":"user","content":"Go."}]`,
			func(call string) string {
				return fmt.Sprintf(`%s,"input":[{"role":"user","content":"Go."},{"type":"custom_tool_call","call_id":%q,"name":"apply_patch","input":%s},{"type":"custom_tool_call_output","call_id":%q,"output":"done"}]`, responsesTools, call, quoted(patch), call)
			},
		},
		"chat: thinking as text": {
			"think Hm.\ntext \"Let me see.\"\ncall look {\"path\":\"a\"}", chatHandler, chatTools + `,"messages":[{"role":"user","content":"Go."}]`,
			func(call string) string {
				return fmt.Sprintf(`%s,"messages":[{"role":"user","content":"Go."},{"role":"assistant","content":"<think>\nHm.\n</think>\n\nLet me see.","tool_calls":[{"id":%q,"type":"function","function":{"name":"look","arguments":"{\"path\": \"a\"}"}}]},{"role":"tool","tool_call_id":%q,"content":"done"}]`, chatTools, call, call)
			},
		},
		"responses: thinking as a message of its own": {
			"think Hm.\ntext \"Let me see.\"\ncall look {\"path\":\"a\"}", responsesHandler, responsesTools + `,"input":[{"role":"user","content":"Go."}]`,
			func(call string) string {
				return fmt.Sprintf(`%s,"input":[{"role":"user","content":"Go."},{"role":"assistant","content":"Let me see."},{"role":"assistant","content":"<think>\nHm.\n</think>"},{"type":"function_call","call_id":%q,"name":"look","arguments":"{\"path\":\"a\"}"},{"type":"function_call_output","call_id":%q,"output":"done"}]`, responsesTools, call, call)
			},
		},
		"chat: n8n": {
			"text \"Let me see.\"\ncall look {\"path\":\"a\"}", chatHandler, chatTools + `,"messages":[{"role":"user","content":"Go."}]`,
			func(call string) string {
				return fmt.Sprintf(`%s,"messages":[{"role":"user","content":"Go."},{"role":"assistant","content":%s,"tool_calls":[{"id":%q,"type":"function","function":{"name":"look","arguments":%s}}]},{"role":"tool","tool_call_id":%q,"content":"done"}]`,
					chatTools, quoted(`Calling look with input: {"path":"a","id":"`+call+`"}`), call, quoted(`{"path":"a","id":"`+call+`"}`), call)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "turn\n"+c.script+"\ntext Done.\n", ask{})
				send := func(members string) (resume, body string) {
					rec := httptest.NewRecorder()
					r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"model":"composer-2.5",`+members+`}`))
					w.handle(rec, r, c.handler(w))
					return rec.Header().Get("X-Composer-Resume"), rec.Body.String()
				}
				_, body := send(c.first)
				call := callID.FindString(body)
				resume, body := send(c.second(call))
				if resume != "parked" || !strings.Contains(body, "Done.") {
					t.Errorf("resume %q after the call %q: %s", resume, call, body)
				}
				// After a restart the whole transcript goes to a new run, without what the client has added.
				w.restart()
				send(c.second(call))
				w.close()
				synctest.Wait()
				runs := w.sim.Runs()
				if len(runs) != 2 {
					t.Fatalf("%d runs", len(runs))
				}
				if p := runs[1].Prompt; strings.Contains(p, "think") || strings.Contains(p, "Hm.") || strings.Contains(p, "Calling") {
					t.Errorf("the model is told\n%s", p)
				}
			})
		})
	}
}
