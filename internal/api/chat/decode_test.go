package chat_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/apitest"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
)

// What the golden cases of apitest show that Decode understands isn't repeated here.

func TestDecodeRefuses(t *testing.T) {
	// Of duplicate members the last counts.
	const rest = `"model":"composer-2.5","messages":[{"role":"user","content":"Hi"}],`
	message := func(m string) string { return `"messages":[{"role":"user","content":"Hi"},` + m + `]` }
	tool := `"tools":[{"type":"function","function":{"name":"a"}}],`
	tooLarge := `data:image/png;base64,` + base64.StdEncoding.EncodeToString(make([]byte, agent.MaxOriginalBytes+1))

	for _, test := range []struct {
		members string // of the request
		code    agent.Code
		param   string
	}{
		{`"model":null`, agent.MissingParameter, "model"},
		{`"model":""`, agent.MissingParameter, "model"},
		{`"model":7`, agent.InvalidType, "model"},
		{`"messages":null`, agent.MissingParameter, "messages"},
		{`"messages":[]`, agent.InvalidValue, "messages"},
		{`"messages":"Hi"`, agent.InvalidType, "messages"},
		{`"messages":["Hi"]`, agent.InvalidType, "messages[0]"},

		{message(`{"content":"x"}`), agent.MissingParameter, "messages[1].role"},
		{message(`{"role":"robot","content":"x"}`), agent.InvalidValue, "messages[1].role"},
		{message(`{"role":"user","content":7}`), agent.InvalidType, "messages[1].content"},
		{message(`{"role":"user","content":{"type":"text"}}`), agent.InvalidType, "messages[1].content"},
		{message(`{"role":"user","content":[{}]}`), agent.MissingParameter, "messages[1].content[0].type"},
		{message(`{"role":"user","content":[{"type":"text","text":7}]}`), agent.InvalidType, "messages[1].content[0].text"},
		{message(`{"role":"user","content":[{"type":"hologram"}]}`), agent.InvalidValue, "messages[1].content[0].type"},
		{message(`{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}`), agent.UnsupportedValue, "messages[1].content[0].type"},
		{message(`{"role":"user","content":[{"type":"file"}]}`), agent.MissingParameter, "messages[1].content[0].file"},
		{message(`{"role":"system","content":[{"type":"file","file":{"file_data":"SGk="}}]}`), agent.InvalidValue, "messages[1].content[0].type"},
		{message(`{"role":"user","content":[{"type":"image_url"}]}`), agent.MissingParameter, "messages[1].content[0].image_url"},
		{message(`{"role":"user","content":[{"type":"image_url","image_url":{}}]}`), agent.InvalidValue, "messages[1].content[0].image_url.url"},
		{message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"ftp://x"}}]}`), agent.InvalidValue, "messages[1].content[0].image_url.url"},
		{message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + tooLarge + `"}}]}`), agent.InvalidValue, "messages[1].content[0].image_url.url"},
		{message(`{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://x"}}]}`), agent.InvalidValue, "messages[1].content[0].type"},

		{message(`{"role":"assistant","tool_calls":{}}`), agent.InvalidType, "messages[1].tool_calls"},
		{message(`{"role":"assistant","tool_calls":[{"function":{"name":"a"}}]}`), agent.MissingParameter, "messages[1].tool_calls[0].id"},
		{message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function"}]}`), agent.MissingParameter, "messages[1].tool_calls[0].function"},
		{message(`{"role":"assistant","tool_calls":[{"id":"c","type":"custom"}]}`), agent.MissingParameter, "messages[1].tool_calls[0].custom"},
		{message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{}}]}`), agent.MissingParameter, "messages[1].tool_calls[0].function.name"},
		{message(`{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{}}]}`), agent.MissingParameter, "messages[1].tool_calls[0].custom.name"},
		{message(`{"role":"assistant","tool_calls":[{"id":"c","type":"robot"}]}`), agent.InvalidValue, "messages[1].tool_calls[0].type"},
		{message(`{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"a","arguments":7}}]}`), agent.InvalidType, "messages[1].tool_calls[0].function.arguments"},
		{message(`{"role":"assistant","function_call":{}}`), agent.MissingParameter, "messages[1].function_call.name"},
		{message(`{"role":"tool","content":"x"}`), agent.MissingParameter, "messages[1].tool_call_id"},
		{message(`{"role":"tool","tool_call_id":"c","content":"x"}`), agent.InvalidValue, "messages[1].tool_call_id"},
		{message(`{"role":"tool","tool_call_id":"c"},{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"a"}}]}`), agent.InvalidValue, "messages[1].tool_call_id"},
		{message(`{"role":"function","content":"x"}`), agent.MissingParameter, "messages[1].name"},
		{message(`{"role":"function","name":"a","content":"x"}`), agent.InvalidValue, "messages[1].name"},
		{message(`{"role":"user","content":[7]}`), agent.InvalidType, "messages[1].content[0]"},

		{`"stream":"true"`, agent.InvalidType, "stream"},
		{`"stream":true,"stream_options":{"include_usage":1}`, agent.InvalidType, "stream_options.include_usage"},

		{`"tools":{}`, agent.InvalidType, "tools"},
		{`"tools":[{}]`, agent.MissingParameter, "tools[0].type"},
		{`"tools":[{"type":"web_search"}]`, agent.InvalidValue, "tools[0].type"},
		{`"tools":[{"type":"function"}]`, agent.MissingParameter, "tools[0].function"},
		{`"tools":[{"type":"custom"}]`, agent.MissingParameter, "tools[0].custom"},
		{`"tools":[{"type":"function","function":{}}]`, agent.MissingParameter, "tools[0].function.name"},
		{`"tools":[{"type":"custom","custom":{}}]`, agent.MissingParameter, "tools[0].custom.name"},
		{`"tools":[{"type":"function","function":{"name":"a","parameters":[]}}]`, agent.InvalidType, "tools[0].function.parameters"},
		{`"tools":[{"type":"function","function":{"name":"a"}},{"type":"custom","custom":{"name":"a"}}]`, agent.InvalidValue, "tools[1].custom.name"},
		{`"functions":[{}]`, agent.MissingParameter, "functions[0].name"},

		{`"tool_choice":7`, agent.InvalidType, "tool_choice"},
		{`"tool_choice":"maybe"`, agent.InvalidValue, "tool_choice"},
		{`"tool_choice":"required"`, agent.InvalidValue, "tool_choice"},
		{tool + `"tool_choice":{"type":"function"}`, agent.MissingParameter, "tool_choice.function.name"},
		{tool + `"tool_choice":{"type":"robot"}`, agent.InvalidValue, "tool_choice.type"},
		{tool + `"tool_choice":{"type":"function","function":{"name":"b"}}`, agent.InvalidValue, "tool_choice"},
		{tool + `"tool_choice":{"type":"allowed_tools"}`, agent.MissingParameter, "tool_choice.allowed_tools"},
		{tool + `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"none","tools":[]}}`, agent.InvalidValue, "tool_choice.allowed_tools.mode"},
		{tool + `"tool_choice":{"type":"allowed_tools","tools":[]}`, agent.MissingParameter, "tool_choice.tools"},
		{tool + `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto"}}`, agent.MissingParameter, "tool_choice.allowed_tools.tools"},
		{tool + `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{}]}}`, agent.MissingParameter, "tool_choice.allowed_tools.tools[0].function.name"},
		{`"functions":[{"name":"a"}],"function_call":"required"`, agent.InvalidValue, "function_call"},
		{`"functions":[{"name":"a"}],"function_call":{}`, agent.MissingParameter, "function_call.name"},
		{`"functions":[{"name":"a"}],"function_call":{"name":"b"}`, agent.InvalidValue, "function_call"},

		{`"response_format":{}`, agent.MissingParameter, "response_format.type"},
		{`"response_format":{"type":"xml"}`, agent.InvalidValue, "response_format.type"},
		{`"response_format":{"type":"json_schema"}`, agent.MissingParameter, "response_format.json_schema.schema"},
		{`"response_format":{"type":"json_schema","json_schema":{"schema":true}}`, agent.InvalidType, "response_format.json_schema.schema"},

		{`"max_tokens":-2`, agent.InvalidValue, "max_tokens"},
		{`"max_completion_tokens":-2`, agent.InvalidValue, "max_completion_tokens"},
		{`"max_tokens":1.5`, agent.InvalidType, "max_tokens"},
		{`"stop":["a"` + strings.Repeat(`,"b"`, 64) + `]`, agent.InvalidValue, "stop"},
		{`"stop":7`, agent.InvalidType, "stop"},
		{`"stop":[7]`, agent.InvalidType, "stop[0]"},
		{`"reasoning_effort":7`, agent.InvalidType, "reasoning_effort"},

		{`"n":2`, agent.UnsupportedValue, "n"},
		{`"n":0`, agent.InvalidValue, "n"},
		{`"logprobs":true`, agent.UnsupportedValue, "logprobs"},
		{`"top_logprobs":1`, agent.UnsupportedValue, "top_logprobs"},
		{`"top_logprobs":-1`, agent.InvalidValue, "top_logprobs"},
		{`"modalities":["text","audio"]`, agent.UnsupportedValue, "modalities"},
		{`"audio":{"voice":"x"}`, agent.UnsupportedParameter, "audio"},
		{`"web_search_options":{"search_context_size":"low"}`, agent.UnsupportedParameter, "web_search_options"},
		{`"previous_response_id":"resp_1"`, agent.UnsupportedParameter, "previous_response_id"},
		{`"system":"Be brief."`, agent.UnsupportedParameter, "system"},
		{`"system":[{"type":"text","text":"Be brief."}]`, agent.UnsupportedParameter, "system"},
		{`"stop_sequences":["x"]`, agent.UnsupportedParameter, "stop_sequences"},
		{tool + `"tool_choice":{"type":"tool"}`, agent.MissingParameter, "tool_choice.name"},
		{`"conversation":"conv_1"`, agent.UnsupportedParameter, "conversation"},
		{`"conversation":{"id":"conv_1"}`, agent.UnsupportedParameter, "conversation"},
		{`"instructions":"Be brief."`, agent.UnsupportedParameter, "instructions"},
		{`"max_output_tokens":5`, agent.UnsupportedParameter, "max_output_tokens"},
		{`"text":{"format":{"type":"json_object"}}`, agent.UnsupportedParameter, "text.format"},
		{`"moderation":{"model":"omni-moderation-latest"}`, agent.UnsupportedParameter, "moderation"},
		{`"temperature":2.1`, agent.InvalidValue, "temperature"},
		{`"temperature":"hot"`, agent.InvalidType, "temperature"},
		{`"top_p":-0.1`, agent.InvalidValue, "top_p"},
		{`"frequency_penalty":3`, agent.InvalidValue, "frequency_penalty"},
		{`"presence_penalty":-3`, agent.InvalidValue, "presence_penalty"},
		{`"seed":"x"`, agent.InvalidType, "seed"},
		{`"metadata":[]`, agent.InvalidType, "metadata"},
	} {
		t.Run(test.members[:min(len(test.members), 100)], func(t *testing.T) {
			_, err := chat.Decode([]byte("{"+rest+test.members+"}"), known.Sender{})
			if err == nil {
				t.Fatal("no error")
			}
			if e := agent.AsError(err); e.Code != test.code || e.Param != test.param {
				t.Errorf("got %v, param %q", e, e.Param)
			}
		})
	}
}

// Clients send 0 or -1 for no limit, more than four stops, a format without its schema, and stream_options whether they
// stream or not; and parameters of the Responses API that ask for nothing.
func TestDecodeTakes(t *testing.T) {
	for _, members := range []string{`"system":"","stop_sequences":[]`, `"system":null,"stop":"x","stop_sequences":["x"]`, `"previous_response_id":null,"conversation":null,"instructions":"","text":{"format":{"type":"text"}}`, `"previous_response_id":"","text":"x","max_output_tokens":5,"max_tokens":-1`, `"max_tokens":0`, `"max_tokens":-1`, `"max_completion_tokens":-1`, `"stop":["a","b","c","d","e"]`, `"response_format":{"type":"json_schema","json_schema":{"name":"any"}}`, `"stream_options":{"include_usage":true}`} {
		req, err := chat.Decode([]byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}],`+members+`}`), known.Sender{})
		if err != nil {
			t.Errorf("%s: %v", members, err)
		} else if req.MaxOutputTokens != 0 || req.IncludeUsage {
			t.Errorf("%s: a limit of %d, usage %v", members, req.MaxOutputTokens, req.IncludeUsage)
		}
	}
}

// allowed_tools has a member of its own in chat, and none on the Responses API; its mode may be left out.
func TestAllowedToolsHaveTwoForms(t *testing.T) {
	want := agent.ToolChoice{Names: []string{"a"}}
	for _, choice := range []string{
		`"allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"a"}}]}`,
		`"allowed_tools":{"tools":[{"type":"function","function":{"name":"a"}}]}`,
		`"mode":"auto","tools":[{"type":"function","name":"a"}]`,
		`"tools":[{"type":"function","name":"a"}]`,
	} {
		body := `{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","name":"a"}],"tool_choice":{"type":"allowed_tools",` + choice + `}}`
		req, err := chat.Decode([]byte(body), known.Sender{})
		if err != nil {
			t.Errorf("%s: %v", choice, err)
		} else if !reflect.DeepEqual(req.ToolChoice, want) {
			t.Errorf("%s: %+v", choice, req.ToolChoice)
		}
	}
}

// A grammar reaches the model from each of the places in which clients put it.
func TestAGrammarHasThreePlaces(t *testing.T) {
	const grammar = `"syntax":"lark","definition":"start: A"`
	for _, tool := range []string{
		`"custom":{"name":"a","format":{"type":"grammar","grammar":{` + grammar + `}}}`,
		`"custom":{"name":"a","format":{"type":"grammar",` + grammar + `}}`,
		`"name":"a","format":{"type":"grammar",` + grammar + `}`,
	} {
		req, err := chat.Decode([]byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"custom",`+tool+`}]}`), known.Sender{})
		if err != nil {
			t.Errorf("%s: %v", tool, err)
		} else if !strings.Contains(string(req.Tools[0].Parameters), "start: A") {
			t.Errorf("%s: %s", tool, req.Tools[0].Parameters)
		}
	}
}

// FuzzDecode checks that any body gives either an error that is the client's fault or a request that keeps the
// promises of agent.Request, and the same when its messages were sent before.
func FuzzDecode(f *testing.F) {
	apitest.AddRequests(f, "chat")
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := chat.Decode(body, known.Sender{})
		sent := known.New(known.Config{Least: 1}).Of("owner")
		for range 2 {
			again, errAgain := chat.Decode(body, sent)
			if err == nil && errAgain == nil {
				again.Echo, req.Echo = nil, nil // functions can't be compared
			}
			if !reflect.DeepEqual(again, req) || !reflect.DeepEqual(errAgain, err) {
				t.Errorf("the messages were sent before: %+v, %v\nthey were not: %+v, %v", again, errAgain, req, err)
			}
		}
		if err != nil {
			if row := openai.RowOf(agent.CodeOf(err)); row.Status != 400 {
				t.Errorf("status %d: %v", row.Status, err)
			}
			return
		}
		if err := promises(req); err != nil {
			t.Error(err)
		}
	})
}

// promises checks what agent.Request says of itself.
func promises(req *chat.Request) error {
	if err := apitest.CheckPromises(&req.Request); err != nil {
		return err
	}
	return openai.CheckToolChoice(req.ToolChoice, req.Tools, "tool_choice")
}

// BenchmarkDecode decodes a prompt of 1 MB, and one that was sent before but for a message.
func BenchmarkDecode(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"model":"composer-2.5","messages":[`)
	for i := range 200 {
		if i > 0 {
			body.WriteByte(',')
		}
		text, _ := json.Marshal(strings.Repeat("func main() {\n\tfmt.Println(\"héllo\")\n}\n", 120))
		fmt.Fprintf(&body, `{"role":"user","content":%s}`, text)
	}
	body.WriteString(`]}`)
	raw := []byte(body.String())
	for name, sent := range map[string]known.Sender{"new": {}, "known": known.New(known.Config{}).Of("owner")} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := chat.Decode(raw, sent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
