package messages_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/apitest"
	"composer-api/internal/api/known"
	"composer-api/internal/api/messages"
	"composer-api/internal/api/openai"
)

// What the golden cases of apitest show that Decode understands isn't repeated here.

func TestDecodeRefuses(t *testing.T) {
	// Of duplicate members the last counts.
	const rest = `"model":"composer-2.5","max_tokens":100,"messages":[{"role":"user","content":"Hi"}],`
	message := func(m string) string { return `"messages":[{"role":"user","content":"Hi"},` + m + `]` }
	block := func(b string) string { return message(`{"role":"user","content":[` + b + `]}`) }
	said := func(b string) string {
		return message(`{"role":"assistant","content":[` + b + `]},{"role":"user","content":"Go on."}`)
	}
	result := func(b string) string {
		return message(`{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"a","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[` + b + `]}]}`)
	}
	const tool, search = `"tools":[{"name":"a"}],`, `"tools":[{"type":"web_search_20250305","name":"web_search"}],`
	tooLarge := base64.StdEncoding.EncodeToString(make([]byte, agent.MaxOriginalBytes+1))

	for _, test := range []struct {
		members string // of the request
		code    agent.Code
		param   string
	}{
		{`"model":null`, agent.MissingParameter, "model"},
		{`"model":7`, agent.InvalidType, "model"},
		{`"messages":null`, agent.MissingParameter, "messages"},
		{`"messages":[]`, agent.InvalidValue, "messages"},
		{`"messages":"Hi"`, agent.InvalidType, "messages"},
		{`"messages":["Hi"]`, agent.InvalidType, "messages[0]"},
		{`"max_tokens":null`, agent.MissingParameter, "max_tokens"},
		{`"max_tokens":0`, agent.InvalidValue, "max_tokens"},
		{`"max_tokens":1.5`, agent.InvalidType, "max_tokens"},

		{message(`{"content":"x"}`), agent.MissingParameter, "messages[1].role"},
		{message(`{"role":"robot","content":"x"}`), agent.InvalidValue, "messages[1].role"},
		{message(`{"role":"assistant","content":"The answer is"}`), agent.UnsupportedValue, "messages[1]"},
		{message(`{"role":"user","content":{"type":"text","text":"not in a list"}}`), agent.InvalidType, "messages[1].content"},
		{message(`{"role":"user","content":7}`), agent.InvalidType, "messages[1].content"},
		{block(`{}`), agent.MissingParameter, "messages[1].content[0].type"},
		{block(`7`), agent.InvalidType, "messages[1].content[0]"},
		{block(`{"type":"text","text":7}`), agent.InvalidType, "messages[1].content[0].text"},
		{block(`{"type":"image"}`), agent.MissingParameter, "messages[1].content[0].source.type"},
		{block(`{"type":"image","source":{"type":"hologram"}}`), agent.InvalidValue, "messages[1].content[0].source.type"},
		{block(`{"type":"image","source":{"type":"file","file_id":"f"}}`), agent.UnsupportedValue, "messages[1].content[0].source.type"},
		{block(`{"type":"image","source":{"type":"url","url":"ftp://x"}}`), agent.InvalidValue, "messages[1].content[0].source.url"},
		{block(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"?"}}`), agent.InvalidValue, "messages[1].content[0].source.data"},
		{block(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + tooLarge + `"}}`), agent.InvalidValue, "messages[1].content[0].source.data"},
		{block(`{"type":"document"}`), agent.MissingParameter, "messages[1].content[0].source.type"},
		{block(`{"type":"document","source":{"type":"url","url":"https://x/a.pdf"}}`), agent.UnsupportedValue, "messages[1].content[0].source.type"},
		{block(`{"type":"document","source":{"type":"file","file_id":"f"}}`), agent.UnsupportedValue, "messages[1].content[0].source.type"},
		{block(`{"type":"document","source":{"type":"scroll"}}`), agent.InvalidValue, "messages[1].content[0].source.type"},
		{block(`{"type":"document","source":{"type":"content","content":[{"type":"document"}]}}`), agent.InvalidValue, "messages[1].content[0].source.content[0].type"},
		{block(`{"type":"document","source":{"type":"content","content":[{"type":"image","source":{}}]}}`), agent.MissingParameter, "messages[1].content[0].source.content[0].source.type"},
		{block(`{"type":"image_url"}`), agent.InvalidType, "messages[1].content[0].image_url"},
		{block(`{"type":"input_image","image_url":7}`), agent.InvalidType, "messages[1].content[0].image_url"},
		{block(`{"type":"image_url","image_url":{"url":"ftp://x"}}`), agent.InvalidValue, "messages[1].content[0].image_url"},
		{block(`{"type":"container_upload","file_id":"f"}`), agent.UnsupportedValue, "messages[1].content[0].file_id"},
		{said(`{"type":"image_url","image_url":"https://x"}`), agent.InvalidValue, "messages[1].content[0].type"},
		{block(`{"type":"tool_result"}`), agent.MissingParameter, "messages[1].content[0].tool_use_id"},
		{result(`{"type":"document","source":{"type":"url"}}`), agent.UnsupportedValue, "messages[2].content[0].content[0].source.type"},
		{block(`{"type":"tool_result","tool_use_id":"c","content":{"temperature":20}}`), agent.InvalidType, "messages[1].content[0].content"},
		{block(`{"type":"tool_result","tool_use_id":"c","content":20}`), agent.InvalidType, "messages[1].content[0].content"},
		{block(`{"type":"document","source":{"type":"content","content":{}}}`), agent.InvalidType, "messages[1].content[0].source.content"},
		{said(`{"type":"tool_use","name":"a"}`), agent.MissingParameter, "messages[1].content[0].id"},
		{said(`{"type":"tool_use","id":"c"}`), agent.MissingParameter, "messages[1].content[0].name"},
		{said(`{"type":"image","source":{"type":"url","url":"https://x"}}`), agent.InvalidValue, "messages[1].content[0].type"},
		{message(`{"role":"system","content":[{"type":"image"}]}`), agent.InvalidValue, "messages[1].content[0].type"},
		{message(`{"role":"system","content":[{"type":"tool_addition"}]}`), agent.MissingParameter, "messages[1].content[0].tool"},
		{message(`{"role":"system","content":[{"type":"tool_addition","tool":7}]}`), agent.InvalidType, "messages[1].content[0].tool"},
		{message(`{"role":"system","content":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{}}}]}`), agent.MissingParameter, "tool_addition.name"},
		{message(`{"role":"system","content":[{}]}`), agent.MissingParameter, "messages[1].content[0].type"},
		{`"system":{"type":"text","text":"not in a list"}`, agent.InvalidType, "system"},
		{`"system":[{"type":"image"}]`, agent.InvalidValue, "system[0].type"},

		{`"thread":{"type":"create"}`, agent.UnsupportedParameter, "thread"},
		{`"compaction":{"type":"summarize"}`, agent.UnsupportedParameter, "compaction"},
		{`"stop":["x"]`, agent.UnsupportedParameter, "stop"},
		{`"stop":"x"`, agent.UnsupportedParameter, "stop"},
		{`"response_format":{"type":"json_object"}`, agent.UnsupportedParameter, "response_format"},
		{`"instructions":"Be brief."`, agent.UnsupportedParameter, "instructions"},
		{`"functions":[{"name":"a"}]`, agent.UnsupportedParameter, "functions"},
		{tool + `"parallel_tool_calls":false`, agent.UnsupportedParameter, "parallel_tool_calls"},
		{message(`{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]},{"role":"user","content":"x"}`), agent.UnsupportedParameter, "messages[1].tool_calls"},
		{`"stream":"true"`, agent.InvalidType, "stream"},
		{`"thinking":{}`, agent.MissingParameter, "thinking.type"},
		{`"thinking":{"type":"deep"}`, agent.InvalidValue, "thinking.type"},
		{`"stop_sequences":"x"`, agent.InvalidType, "stop_sequences"},
		{`"stop_sequences":["a"` + strings.Repeat(`,"b"`, 64) + `]`, agent.InvalidValue, "stop_sequences"},
		{`"output_config":{"effort":7}`, agent.InvalidType, "output_config.effort"},
		{`"output_config":{"format":{}}`, agent.MissingParameter, "output_config.format.type"},
		{`"output_config":{"format":{"type":"xml"}}`, agent.InvalidValue, "output_config.format.type"},
		{`"output_config":{"format":{"type":"json_schema"}}`, agent.MissingParameter, "output_config.format.schema"},
		{`"output_config":{"format":{"type":"json_schema","schema":true}}`, agent.InvalidType, "output_config.format.schema"},
		{`"output_format":{"type":"json_schema"}`, agent.MissingParameter, "output_format.schema"},

		{`"tools":{}`, agent.InvalidType, "tools"},
		{`"tools":[{}]`, agent.MissingParameter, "tools[0].name"},
		{`"tools":[{"name":"a","input_schema":[]}]`, agent.InvalidType, "tools[0].input_schema"},
		{`"tools":[{"name":"a"},{"name":"a","strict":true}]`, agent.InvalidValue, "tools[1].name"},
		{tool + `"tool_choice":"auto"`, agent.InvalidType, "tool_choice"},
		{tool + `"tool_choice":{}`, agent.MissingParameter, "tool_choice.type"},
		{tool + `"tool_choice":{"type":"maybe"}`, agent.InvalidValue, "tool_choice.type"},
		{tool + `"tool_choice":{"type":"tool"}`, agent.MissingParameter, "tool_choice.name"},
		{tool + `"tool_choice":{"type":"tool","name":"b"}`, agent.InvalidValue, "tool_choice"},
		{`"tool_choice":{"type":"any"}`, agent.InvalidValue, "tool_choice"},
		{search + `"tool_choice":{"type":"any"}`, agent.UnsupportedValue, "tool_choice"},
		{search + `"tool_choice":{"type":"tool","name":"web_search"}`, agent.UnsupportedValue, "tool_choice"},
	} {
		t.Run(test.members[:min(len(test.members), 100)], func(t *testing.T) {
			_, err := messages.Decode([]byte("{"+rest+test.members+"}"), known.Sender{})
			if err == nil {
				t.Fatal("no error")
			}
			if e := agent.AsError(err); e.Code != test.code || e.Param != test.param {
				t.Errorf("got %v, param %q", e, e.Param)
			}
		})
	}
}

// TestSentencesSayWhatToDo holds the sentences that users of Claude Code meet.
// What asks for nothing, or is said in this API's words as well, harms nobody.
func TestParametersOfOpenAIsThatAskForNothing(t *testing.T) {
	for _, members := range []string{
		`"stop":null,"response_format":{"type":"text"},"instructions":"","functions":[],"parallel_tool_calls":false`,
		`"stop":"x","stop_sequences":["x"],"instructions":"Be brief.","system":"Be brief.","response_format":{"type":"json_object"},"output_config":{"format":{"type":"json_schema","schema":{}}}`,
		`"tools":[{"name":"a"}],"functions":[{"name":"a"}],"parallel_tool_calls":true,"tool_choice":null`,
		`"parallel_tool_calls":false,"tools":[{"name":"a"}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true},"response_format":"text"`,
	} {
		if _, err := messages.Decode([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho","tool_calls":[]},{"role":"user","content":"Hi"}],`+members+`}`), known.Sender{}); err != nil {
			t.Errorf("%s: %v", members, err)
		}
	}
}

func TestSentencesSayWhatToDo(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://x/a.pdf"}}]}]}`:                     "Send the document itself",
		`{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":"{"}]}`:                                                                                  "(prefill). End with a message of the user.",
		`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"tools":[{"type":"web_search_1","name":"s"}],"tool_choice":{"type":"tool","name":"s"}}`: "Offer a tool of your own for it.",
	} {
		_, err := messages.Decode([]byte(body), known.Sender{})
		if err == nil || !strings.Contains(agent.AsError(err).UserMessage(), want) {
			t.Errorf("got %v, want …%s", err, want)
		}
	}
}

// FuzzDecode checks that any body gives either an error that is the client's fault or a request that keeps the
// promises of agent.Request, and the same when its messages were sent before.
func FuzzDecode(f *testing.F) {
	apitest.AddRequests(f, "messages")
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := messages.Decode(body, known.Sender{})
		sent := known.New(known.Config{Least: 1}).Of("owner")
		for range 2 {
			if again, errAgain := messages.Decode(body, sent); !reflect.DeepEqual(again, req) || !reflect.DeepEqual(errAgain, err) {
				t.Errorf("the messages were sent before: %+v, %v\nthey were not: %+v, %v", again, errAgain, req, err)
			}
		}
		if err != nil {
			if status := messages.Status(agent.CodeOf(err)); status != 400 {
				t.Errorf("status %d: %v", status, err)
			}
			return
		}
		if err := promises(req); err != nil {
			t.Error(err)
		}
	})
}

// promises checks what agent.Request says of itself, and that there is a limit.
func promises(req *messages.Request) error {
	if err := apitest.CheckPromises(&req.Request); err != nil {
		return err
	}
	if req.MaxOutputTokens < 1 {
		return fmt.Errorf("a limit of %d", req.MaxOutputTokens)
	}
	return openai.CheckToolChoice(req.ToolChoice, req.Tools, "tool_choice")
}

// Twice as much of anything may cost about twice as many allocations. Time isn't measured, because it differs from one
// machine to the next.
func TestTheWorkGrowsWithTheInput(t *testing.T) {
	const hello = `"messages":[{"role":"user","content":"x"}]`
	apitest.CheckGrowth(t, map[string]func(n int) string{
		"messages": func(n int) string { return `"messages":[` + apitest.List(n, `{"role":"user","content":"%d"}`) + `]` },
		"blocks": func(n int) string {
			return `"messages":[{"role":"user","content":[` + apitest.List(n, `{"type":"text","text":"%d"}`) + `]}]`
		},
		"unknown blocks": func(n int) string {
			return `"messages":[{"role":"user","content":[` + apitest.List(n, `{"type":"x%d"}`) + `]}]`
		},
		"calls and results": func(n int) string {
			return `"messages":[{"role":"assistant","content":[` + apitest.List(n, `{"type":"tool_use","id":"%d","name":"f"}`) + `]},{"role":"user","content":[` +
				apitest.List(n, `{"type":"tool_result","tool_use_id":"%d","content":"x"}`) + `]}]`
		},
		"tools": func(n int) string { return hello + `,"tools":[` + apitest.List(n, `{"name":"f%d"}`) + `]` },
		"nested content": func(n int) string {
			return `"messages":[{"role":"user","content":` + strings.Repeat(`[{"type":"x","content":`, n) + `null` + strings.Repeat(`}]`, n) + `}]`
		},
	}, func(members string) error {
		_, err := messages.Decode([]byte(`{"model":"m","max_tokens":9,`+members+`}`), known.Sender{})
		return err
	})
}

func BenchmarkDecode(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"model":"composer-2.5","max_tokens":32000,"messages":[`)
	for i := range 200 {
		if i > 0 {
			body.WriteByte(',')
		}
		text, _ := json.Marshal(strings.Repeat("func main() {\n\tfmt.Println(\"héllo\")\n}\n", 120))
		fmt.Fprintf(&body, `{"role":"user","content":[{"type":"text","text":%s}]}`, text)
	}
	body.WriteString(`]}`)
	raw := []byte(body.String())
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := messages.Decode(raw, known.Sender{}); err != nil {
			b.Fatal(err)
		}
	}
}

// A document in base64 is a PDF, whose text is taken out later, or a text that says that it is one.
func TestDocumentsInBase64(t *testing.T) {
	for data, isPDF := range map[string]bool{"JVBERi0xLjQK": true, "SGk=": false} {
		req, err := messages.Decode([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","title":"A","source":{"type":"base64","media_type":"application/pdf","data":"`+data+`"}}]}]}`), known.Sender{})
		if err != nil {
			t.Fatal(err)
		}
		part := req.Messages[0].Parts[1]
		if (part.File != nil) != isPDF || isPDF && part.File.Param != "messages[0].content[0].source.data" || !isPDF && part.Text != "Hi" {
			t.Errorf("%s became %+v", data, part)
		}
	}
}

func TestAnImageMayBeADataURL(t *testing.T) {
	const png = "data:image/png;base64,iVBORw0KGgo="
	for _, source := range []string{`"type":"base64","media_type":"image/png","data"`, `"type":"url","url"`} {
		req, err := messages.Decode([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{`+source+`:"`+png+`"}}]}]}`), known.Sender{})
		if err != nil {
			t.Fatal(err)
		}
		if image := req.Messages[0].Parts[0].Image; image.MIME != "image/png" || len(image.Data) != 8 {
			t.Errorf("%s became %+v", source, image)
		}
	}
}

// An image in the form of OpenAI's APIs is one, also where a client has put it into a tool's result.
func TestImagesInOpenAIsForm(t *testing.T) {
	for _, image := range []string{`{"type":"image_url","image_url":{"url":"https://x/a.png"}}`, `{"type":"input_image","image_url":"https://x/a.png","detail":"high"}`} {
		req, err := messages.Decode([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[`+image+`]},
			{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"a","input":{}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[`+image+`]}]}]}`), known.Sender{})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 2} {
			if parts := req.Messages[i].Parts; len(parts) != 1 || parts[0].Image == nil || parts[0].Image.URL != "https://x/a.png" {
				t.Errorf("%s became %+v in message %d", image, parts, i)
			}
		}
	}
}

func TestTheModelSeesExamplesOfAToolsInput(t *testing.T) {
	for tool, want := range map[string]string{
		`{"name":"a","description":"Looks.","input_schema":{},"input_examples":[{"at": "a\nb"},null,{"n":[1, 2]}]}`: "Looks.\n\nExamples of its input, one on each line:\n{\"at\":\"a\\nb\"}\n{\"n\":[1,2]}",
		`{"name":"a","input_schema":{},"input_examples":[{}]}`:                                                      "Examples of its input, one on each line:\n{}",
		`{"name":"a","description":"Looks. ","input_schema":{},"input_examples":[]}`:                                "Looks. ",
		`{"name":"a","description":"Looks.","input_examples":null}`:                                                 "Looks.",
	} {
		req, err := messages.Decode([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"tools":[`+tool+`]}`), known.Sender{})
		if err != nil {
			t.Fatal(err)
		}
		if got := req.Tools[0].Description; got != want {
			t.Errorf("%s: the model is told %q, want %q", tool, got, want)
		}
	}
}
