package openai_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// many is n times element, with commas between.
func many(n int, element string) string {
	return strings.TrimSuffix(strings.Repeat(element+",", n), ",")
}

// As many as allowed are fine, and one more is refused, with the place and the bound. Where the document is cut into pieces
// changes nothing.
func TestRequestsAreBounded(t *testing.T) {
	bounds := openai.Bounds{Messages: 3, Items: 4, Parts: 5, Tools: 6, Calls: 7, Schema: 40}
	schema := func(size int) string { return `{"x":"` + strings.Repeat("x", size-8) + `"}` }
	for name, tt := range map[string]struct {
		most  int
		with  func(n int) string
		param string
	}{
		"messages":                          {3, func(n int) string { return `{"messages":[` + many(n, `{}`) + `]}` }, "messages"},
		"messages, with other lists before": {3, func(n int) string { return `{"x":[1,[2],3,4,5],"messages":[` + many(n, `{"content":"[,,,"}`) + `]}` }, "messages"},
		"a name with escapes":               {3, func(n int) string { return `{ "m\u0065ssages" : [ ` + many(n, ` {} `) + ` ] }` }, "messages"},
		"a name that comes twice":           {3, func(n int) string { return `{"messages":[],"messages":[{}],"messages":[` + many(n-1, `{}`) + `]}` }, "messages"},
		"prompts":                           {3, func(n int) string { return `{"prompt":[` + many(n, `"p"`) + `]}` }, "prompt"},
		"items":                             {4, func(n int) string { return `{"input":[` + many(n, `{"type":"message"}`) + `]}` }, "input"},
		"parts":                             {5, func(n int) string { return `{"messages":[{},{"role":"user","content":[` + many(n, `{}`) + `]}]}` }, "messages[1].content"},
		"parts of several messages":         {5, func(n int) string { return `{"messages":[{"content":[{},{}]},{"content":[` + many(n-2, `{}`) + `]}]}` }, "messages[1].content"},
		"parts in a result":                 {5, func(n int) string { return `{"messages":[{"content":[{"content":[` + many(n-1, `{}`) + `]}]}]}` }, "messages[0].content[0].content"},
		"parts of items":                    {5, func(n int) string { return `{"input":[{"output":[` + many(n, `{}`) + `]}]}` }, "input[0].output"},
		"tools":                             {6, func(n int) string { return `{"tools":[` + many(n, `{}`) + `]}` }, "tools"},
		"functions":                         {6, func(n int) string { return `{"tools":[{}],"functions":[` + many(n-1, `{}`) + `]}` }, "functions"},
		"calls":                             {7, func(n int) string { return `{"messages":[{"tool_calls":[` + many(n, `{"function":{}}`) + `]}]}` }, "messages[0].tool_calls"},
		"a tool's schema":                   {40, func(n int) string { return `{"tools":[{"function":{"parameters":` + schema(n) + `}}]}` }, "tools[0].function.parameters"},
		"a flat tool's schema":              {40, func(n int) string { return `{"tools":[{},{"parameters":` + schema(n) + `}]}` }, "tools[1].parameters"},
		"the schema of one of Anthropic's":  {40, func(n int) string { return `{"tools":[{"input_schema":` + schema(n) + `}]}` }, "tools[0].input_schema"},
		"the answer's schema":               {40, func(n int) string { return `{"response_format":{"json_schema":{"schema":` + schema(n) + `}}}` }, "response_format.json_schema.schema"},
		"the answer's schema, Responses":    {40, func(n int) string { return `{"text":{"format":{"schema":` + schema(n) + `}}}` }, "text.format.schema"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 2, 7, 1000} {
				if err := counted([]byte(tt.with(tt.most)), size, bounds); err != nil {
					t.Errorf("in pieces of %d: as many as allowed: %v", size, err)
				}
				err := counted([]byte(tt.with(tt.most+1)), size, bounds)
				e := agent.AsError(err)
				if err == nil || e.Code != agent.InvalidValue || e.Param != tt.param || !strings.Contains(e.Message, fmt.Sprint(tt.most)) || !strings.Contains(e.Message, tt.param) {
					t.Errorf("in pieces of %d: one more: %+v, want %d in %q", size, e, tt.most, tt.param)
				}
			}
		})
	}
}

// counted counts a document that comes in pieces.
func counted(doc []byte, size int, bounds openai.Bounds) error {
	c := openai.NewCounter(bounds)
	for piece := range slices.Chunk(doc, size) {
		if err := c.Add(piece); err != nil {
			return err
		}
	}
	return nil
}

// Lists of any kind count, and a small body of very many values is refused before it takes memory.
func TestTooManyValuesAreRefused(t *testing.T) {
	const most = 250_000
	for name, list := range map[string]string{
		"objects": many(most, `{}`), "strings": many(most, `""`), "nested": many(most, `[[]]`), "numbers": many(most, `1`),
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(`{"list":[` + list + `]}`)
			var err error
			allocations := testing.AllocsPerRun(1, func() { err = counted(body, len(body), openai.Bounds{}) })
			if agent.CodeOf(err) != agent.InvalidValue || !strings.Contains(agent.AsError(err).UserMessage(), "250000") {
				t.Errorf("error %v", err)
			}
			if allocations > 100 {
				t.Errorf("%v allocations", allocations)
			}
		})
	}
}

// What stands inside strings, and the members of objects, don't count.
func TestTextIsNotCounted(t *testing.T) {
	text := strings.Repeat(`[{\",\\`, 1000)
	members := many(1000, `"a":"b"`)
	if err := counted([]byte(`{"text":"`+text+`",`+members+`}`), 1000, openai.Bounds{Values: 1}); err != nil {
		t.Error(err)
	}
}

func FuzzCounter(f *testing.F) {
	f.Add([]byte(`{"messages":[{"content":[{},"a\"]"],"tool_calls":[{}]}],"tools":[{"function":{"parameters":{"a":[1]}}}]}`), 3)
	f.Add([]byte(`]}{"messages`), 1)
	f.Fuzz(func(t *testing.T, doc []byte, size int) {
		if size < 1 {
			return
		}
		bounds := openai.Bounds{Values: 20, Messages: 3, Parts: 3, Tools: 2, Calls: 2, Items: 3, Schema: 10}
		whole, pieces := counted(doc, len(doc)+1, bounds), counted(doc, size, bounds)
		if (whole == nil) != (pieces == nil) {
			t.Errorf("whole: %v, in pieces of %d: %v", whole, size, pieces)
		}
	})
}

// BenchmarkCounter counts code, whose strings are full of escapes, and prose.
func BenchmarkCounter(b *testing.B) {
	for name, line := range map[string]string{
		"code":  `\tif err := run(ctx, \"step\"); err != nil {\n\t\treturn err\n\t}\n`,
		"prose": `The quick brown fox jumps over the lazy dog, and then it goes on to the next one.\n`,
	} {
		b.Run(name, func(b *testing.B) {
			doc := []byte(`{"messages":[{"content":"` + strings.Repeat(line, 1<<20/len(line)) + `"}]}`)
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if err := counted(doc, 64<<10, openai.Bounds{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
