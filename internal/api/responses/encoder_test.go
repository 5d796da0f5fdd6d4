package responses

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses/responsestest"
)

// testTools is a tool of each form.
const testTools = `"tools":[
	{"type":"function","name":"read","parameters":{"type":"object"}},
	{"type":"custom","name":"apply_patch"},
	{"type":"namespace","name":"mcp__files","tools":[{"type":"function","name":"list"},{"type":"custom","name":"note"}]},
	{"type":"tool_search","execution":"client"},{"type":"shell"}]`

func decodeTest(t testing.TB, body string) *Request {
	t.Helper()
	req, err := Decode([]byte(body), known.Sender{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := req.Turn(nil, openTest); err != nil {
		t.Fatal(err)
	}
	return req
}

func testOptions() Options {
	return Options{
		ID:            "resp_" + strings.Repeat("0", responseIDRandom),
		Now:           func() time.Time { return time.Unix(1_800_000_000, 0) },
		SealReasoning: sealTest, SealCompaction: sealTest,
	}
}

// play sends events to an encoder as a gateway does.
func play(t testing.TB, e *Encoder, events []agent.Event, failure *agent.Error) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(e.Accept(agent.Accepted{}))
	for i := range events {
		must(e.Event(&events[i]))
	}
	if failure != nil {
		must(e.Fail(failure))
	}
}

// randomEvents is a turn that a backend might yield.
func randomEvents(r *rand.Rand) []agent.Event {
	words := []string{"a", "Hello ", "\n", "\"quoted\"\\", "é", "日本", "🙂", "\u2028", "<html>", "\x00\x1f"}
	calls := []agent.ToolCall{
		{Name: "read", Arguments: []byte(`{"path":"a\n\"b\""}`)},
		{Name: "apply_patch", Arguments: []byte(`{"input":"*** Begin Patch\n*** End Patch\n"}`)},
		{Name: "mcp__files__list", Arguments: []byte(`{}`)},
		{Name: "mcp__files__note", Arguments: []byte(`{"input":""}`)},
		{Name: "tool_search", Arguments: []byte(`{"query":"x"}`)},
		{Name: "shell", Arguments: []byte(`{"commands":["ls"]}`)},
		{Name: "unheard_of", Arguments: []byte(`{"a":[1,2]}`)},
	}
	var events []agent.Event
	called := false
	for range r.IntN(20) {
		switch r.IntN(5) {
		case 4:
			events = append(events, agent.Event{Kind: agent.Refusal, Text: []byte(words[r.IntN(len(words))])})
		case 0:
			events = append(events, agent.Event{Kind: agent.Reasoning, Text: []byte(words[r.IntN(len(words))])})
		case 1:
			call := calls[r.IntN(len(calls))]
			call.ID = agent.NewCallID()
			called = true
			events = append(events, agent.Event{Kind: agent.Call, Call: &call})
		default:
			events = append(events, agent.Event{Kind: agent.Text, Text: []byte(words[r.IntN(len(words))])})
		}
	}
	reason := agent.Stop
	if called {
		reason = agent.ToolCalls
	} else if r.IntN(4) == 0 {
		reason = agent.Length
	}
	return append(events,
		agent.Event{Kind: agent.UsageKind, Usage: &agent.Usage{Input: r.Int64N(100), CacheRead: r.Int64N(100), Output: 7, Reasoning: 2, Estimated: r.IntN(2) == 0}},
		agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: reason}})
}

// Whatever a backend yields, and wherever it fails, the stream keeps the API's rules (see responsestest.CheckStream),
// and the document that the same events give without streaming is the one that the stream ends with.
func TestEveryStreamKeepsTheRules(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 100 {
		include := ""
		if i%2 == 0 {
			include = `"include":["reasoning.encrypted_content"],`
		}
		if i%3 == 0 {
			include += `"reasoning":{"summary":null},`
		}
		body := `{"model":"composer-2.5","input":"go","instructions":"a\u2028b",` + include + strings.Replace(testTools, `"name":"apply_patch"`, "\"name\":\"apply_patch\",\"description\":\"a\u2029b\"", 1) + `}`
		events := randomEvents(r)
		var failure *agent.Error
		if i%5 == 0 {
			events = events[:r.IntN(len(events))]
			failure = agent.Errorf(agent.Codes()[r.IntN(len(agent.Codes()))], "")
		}

		var out memory
		stream := NewStream(decodeTest(t, body), testOptions(), &out)
		play(t, stream, events, failure)
		responsestest.Stream(t, out.b)

		document := NewBody(decodeTest(t, body), testOptions())
		play(t, document, events, failure)
		responsestest.Valid(t, "response", document.Response().Encode())
		if diff := cmp.Diff(string(stream.Response().Encode()), string(document.Response().Encode())); diff != "" {
			t.Errorf("the stream's response differs from the document (-stream +document):\n%s", diff)
		}
		if !bytes.Contains(out.b, document.Response().Encode()) {
			t.Errorf("the stream does not hold its final response:\n%s", out.b)
		}
		if t.Failed() {
			t.Fatalf("in turn %d: %s", i, describeEvents(events))
		}
	}
}

func describeEvents(events []agent.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%d %q %v\n", e.Kind, e.Text, e.Call)
	}
	return b.String()
}

func TestEventOrder(t *testing.T) {
	var out memory
	e := NewStream(decodeTest(t, `{"model":"m","input":"go",`+testTools+`}`), testOptions(), &out)
	play(t, e, []agent.Event{
		{Kind: agent.Reasoning, Text: []byte("Hm.")},
		{Kind: agent.Text, Text: []byte("I ")}, {Kind: agent.Text, Text: []byte("look.")},
		{Kind: agent.Call, Call: &agent.ToolCall{ID: "call_1", Name: "read", Arguments: []byte(`{}`)}},
		{Kind: agent.Call, Call: &agent.ToolCall{ID: "call_2", Name: "apply_patch", Arguments: []byte(`{"input":"x"}`)}},
		{Kind: agent.Call, Call: &agent.ToolCall{ID: "call_3", Name: "tool_search", Arguments: []byte(`{"q":1}`)}},
		{Kind: agent.UsageKind, Usage: &agent.Usage{}}, {Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.ToolCalls}},
	}, nil)
	want := []string{
		"response.created", "response.in_progress",
		"response.output_item.added", "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
		"response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "response.output_item.done",
		"response.output_item.added", "response.content_part.added", "response.output_text.delta",
		"response.output_text.done", "response.content_part.done", "response.output_item.done",
		"response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done",
		"response.output_item.added", "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "response.output_item.done",
		"response.output_item.added", "response.output_item.done",
		"response.completed",
	}
	if diff := cmp.Diff(want, responsestest.Types(responsestest.Stream(t, out.b))); diff != "" {
		t.Error(diff)
	}
}

// Who says that no summary is wanted gets none; who says nothing, gets it. Sealed reasoning is whole all the same.
func TestASummaryThatIsNotWantedIsNotSent(t *testing.T) {
	for members, wanted := range map[string]bool{
		``: true, `"reasoning":{},`: true, `"reasoning":null,`: true, `"reasoning":{"summary":"auto"},`: true, `"reasoning":{"effort":"low","summary":null},`: false,
	} {
		var out memory
		e := NewStream(decodeTest(t, `{"model":"m",`+members+`"include":["reasoning.encrypted_content"],"input":"go"}`), testOptions(), &out)
		play(t, e, []agent.Event{
			{Kind: agent.Reasoning, Text: []byte("Hm, ")}, {Kind: agent.Reasoning, Text: []byte("hm.")}, {Kind: agent.Text, Text: []byte("Yes.")},
			{Kind: agent.UsageKind, Usage: &agent.Usage{}}, {Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}},
		}, nil)
		responsestest.Stream(t, out.b)
		sealed, _ := sealTest([]byte("Hm, hm."))
		item := string(e.Response().Output[0])
		if strings.Contains(string(out.b), "reasoning_summary") != wanted || strings.Contains(item, "summary_text") != wanted || !strings.Contains(item, `"encrypted_content":"`+sealed+`"`) {
			t.Errorf("with %s: %s", members, out.b)
		}
	}
}

// What a client leaves out of its format is left out of the answer, too: null is no value of it.
func TestAFormatIsEchoedAsItWasSent(t *testing.T) {
	for sent, want := range map[string]string{
		`"name":"a","schema":{}`:                                    `{"type":"json_schema","name":"a","schema":{},"strict":false}`,
		`"name":"a","schema":{},"description":null,"strict":null`:   `{"type":"json_schema","name":"a","schema":{},"strict":false}`,
		`"name":"a","schema":{},"description":"An a","strict":true`: `{"type":"json_schema","name":"a","description":"An a","schema":{},"strict":true}`,
	} {
		e := NewBody(decodeTest(t, `{"model":"m","input":"go","text":{"format":{"type":"json_schema",`+sent+`}}}`), testOptions())
		object := e.Response().Encode()
		responsestest.Valid(t, "response", object)
		if !strings.Contains(string(object), `"text":{"format":`+want+`}`) {
			t.Errorf("with %s: %s", sent, object)
		}
	}
}

// Codex refuses a patch that doesn't begin and end with these lines, and aborts its turn over one that comes as a
// function call.
func TestPatchesComeAsRawText(t *testing.T) {
	const patch = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"
	for _, c := range []struct{ name, arguments, want string }{
		{"as it should be", `{"input":"*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"}`, patch},
		{"as it should be, with a line break", `{"input":"*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\n"}`, patch + "\n"},
		{"in a code fence", "{\"input\":\"```diff\\n*** Begin Patch\\n*** Add File: a\\n+x\\n*** End Patch\\n```\"}", patch},
		{"in a heredoc", `{"input":"apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\nEOF\n"}`, patch},
		{"cut short", `{"input":"*** Begin Patch\n*** Add File: a\n+x"}`, "*** Begin Patch\n*** Add File: a\n+x"},
		{"not a patch", `{"input":"please"}`, "please"},
		{"not the one argument", `{"patch":"x"}`, `x`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := NewBody(decodeTest(t, `{"model":"m","input":"go",`+testTools+`}`), testOptions())
			play(t, e, []agent.Event{{Kind: agent.Call, Call: &agent.ToolCall{ID: "call_1", Name: "apply_patch", Arguments: []byte(c.arguments)}}}, nil)
			want := string(openai.Encode(wireCustomCall{"ctc_" + strings.Repeat("0", responseIDRandom) + "0000", "custom_tool_call", Completed, "call_1", "apply_patch", "", c.want}))
			if diff := cmp.Diff(want, string(e.Response().Output[0])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACompactionTurnHasOneItem(t *testing.T) {
	req := decodeTest(t, `{"model":"m","input":[{"role":"user","content":"a"},{"type":"compaction_trigger"}]}`)
	var out memory
	e := NewStream(req, testOptions(), &out)
	play(t, e, []agent.Event{
		{Kind: agent.Reasoning, Text: []byte("Hm.")}, {Kind: agent.Text, Text: []byte(" All ")}, {Kind: agent.Text, Text: []byte("done.")},
		{Kind: agent.UsageKind, Usage: &agent.Usage{}}, {Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}},
	}, nil)
	want := []string{"response.created", "response.in_progress", "response.output_item.added", "response.output_item.done", "response.completed"}
	if diff := cmp.Diff(want, responsestest.Types(responsestest.Stream(t, out.b))); diff != "" {
		t.Error(diff)
	}
	sealed, _ := sealTest([]byte("All done."))
	if got := string(e.Response().Output[0]); len(e.Response().Output) != 1 || !strings.Contains(got, `"type":"compaction","encrypted_content":"`+sealed+`"`) {
		t.Errorf("output: %s", got)
	}
}

// A summary that isn't there must not take the place of a conversation.
func TestACompactionWithoutASummaryFails(t *testing.T) {
	e := NewBody(decodeTest(t, `{"model":"m","input":[{"role":"user","content":"a"},{"type":"compaction_trigger"}]}`), testOptions())
	play(t, e, []agent.Event{{Kind: agent.Text, Text: []byte(" \n")}}, nil)
	err := e.Event(&agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}})
	if agent.CodeOf(err) != agent.Upstream {
		t.Errorf("error %v, want Upstream", err)
	}
}

// A response that the client is told to be stored can be found; one that could not be stored says so.
func TestKeepComesBeforeTheEnd(t *testing.T) {
	for _, failing := range []bool{false, true} {
		var out memory
		opt := testOptions()
		kept := 0
		opt.Keep = func(r *Response) error {
			kept++
			if bytes.Contains(out.b, []byte("response.completed")) {
				t.Error("the client was told before the response was kept")
			}
			if r.Status != Completed || len(r.Output) != 1 {
				t.Errorf("kept as %s with %d items", r.Status, len(r.Output))
			}
			if failing {
				return fmt.Errorf("disk full")
			}
			return nil
		}
		e := NewStream(decodeTest(t, `{"model":"m","input":"go"}`), opt, &out)
		play(t, e, []agent.Event{
			{Kind: agent.Text, Text: []byte("Hi")}, {Kind: agent.UsageKind, Usage: &agent.Usage{}},
			{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}},
		}, nil)
		final := responsestest.Final(t, responsestest.Stream(t, out.b))
		if kept != 1 || final.Store == failing {
			t.Errorf("kept %d times, store: %v, keeping failed: %v", kept, final.Store, failing)
		}
	}
}

// memory is an Out that keeps everything.
type memory struct{ b []byte }

func (m *memory) Buffer() []byte           { return m.b }
func (m *memory) SetBuffer(b []byte) error { m.b = b; return nil }
func (m *memory) Flush() error             { return nil }

// Wherever a process dies, what its stream has told of is in the response that is left, and the stream can be ended by
// the rules.
func TestAStreamWhoseEncoderIsGoneCanBeEnded(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 50 {
		var out collector
		summary := []string{"null", `"auto"`}[i%2]
		e := NewStream(decodeTest(t, `{"model":"m","input":"go","background":true,"reasoning":{"summary":`+summary+`},`+testTools+`}`), testOptions(), &out)
		if err := e.Queue(); err != nil {
			t.Fatal(err)
		}
		queued := *e.Response()
		play(t, e, randomEvents(r), nil)
		log := out.events[:2+r.IntN(len(out.events)-2)]

		left, err := DecodeResponse(queued.Encode())
		if err != nil {
			t.Fatal(err)
		}
		left.Interrupt()
		rest, err := Settle(left, log)
		if err != nil {
			t.Fatal(err)
		}
		whole := append(bytes.Join(append(slices.Clone(log), rest...), nil), DoneLine...)
		final := responsestest.Final(t, responsestest.Stream(t, whole))
		if !final.Interrupted() || len(final.Output) != len(left.Output) {
			t.Errorf("ends as %+v", final)
		}
		responsestest.Valid(t, "response", left.Encode())
		if again, err := Settle(left, append(log, rest...)); err != nil || again != nil {
			t.Errorf("settled again: %q, %v", again, err)
		}
	}
}

// The object of a response that ended by itself is whole. Wherever its events were cut, the rest is made from it.
func TestTheEventsThatAWholeResponseLacksAreMadeFromIt(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 50 {
		var out collector
		summary := []string{"null", `"auto"`}[i%2]
		e := NewStream(decodeTest(t, `{"model":"m","input":"go","background":true,"reasoning":{"summary":`+summary+`},`+testTools+`}`), testOptions(), &out)
		if err := e.Queue(); err != nil {
			t.Fatal(err)
		}
		play(t, e, randomEvents(r), nil)
		kept := e.Response().Encode()
		for _, n := range []int{0, r.IntN(len(out.events)), len(out.events) - 1} {
			if n == 1 {
				continue // the two first events are written together
			}
			whole, err := DecodeResponse(kept)
			if err != nil {
				t.Fatal(err)
			}
			log := out.events[:n]
			rest, err := Settle(whole, log)
			if err != nil {
				t.Fatal(err)
			}
			responsestest.Stream(t, append(bytes.Join(append(slices.Clone(log), rest...), nil), DoneLine...))
			if !bytes.Equal(whole.Encode(), kept) {
				t.Errorf("cut after %d events the response became\n%s\ninstead of\n%s", n, whole.Encode(), kept)
			}
		}
	}
}

func TestItemsLeadToTheirResponse(t *testing.T) {
	id := NewID()
	for _, item := range []string{outputItemID(id, messageItem, 0), outputItemID(id, customCallItem, 1_000_000), inputItemID(id, "fco_", 7)} {
		if got := ResponseOf(item); got != id {
			t.Errorf("ResponseOf(%s) = %s, want %s", item, got, id)
		}
	}
	for _, item := range []string{"", "msg_1", "msg", "msg_67ccd3acc8d4", "_"} {
		if got := ResponseOf(item); got != "" {
			t.Errorf("ResponseOf(%s) = %s, want nothing", item, got)
		}
	}
}

func TestDeltasAllocateNothing(t *testing.T) {
	out := &discard{buf: make([]byte, 0, 4096)}
	e := NewStream(decodeTest(t, `{"model":"m","input":"go"}`), testOptions(), out)
	text := agent.Event{Kind: agent.Text, Text: []byte("Hello, \"world\".\n")}
	play(t, e, []agent.Event{text}, nil)
	e.open.text = make([]byte, 0, 1<<20) // what the item holds grows, but rarely
	if n := testing.AllocsPerRun(1000, func() {
		if err := e.Event(&text); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per delta", n)
	}
}

// discard is an Out that forgets.
type discard struct{ buf []byte }

func (d *discard) Buffer() []byte           { return d.buf[:0] }
func (d *discard) SetBuffer(b []byte) error { d.buf = b; return nil }
func (d *discard) Flush() error             { return nil }

func BenchmarkDelta(b *testing.B) {
	e := NewStream(decodeTest(b, `{"model":"m","input":"go"}`), testOptions(), &discard{})
	text := agent.Event{Kind: agent.Text, Text: []byte("Hello, world. ")}
	play(b, e, []agent.Event{text}, nil)
	b.ReportAllocs()
	for b.Loop() {
		e.open.text = e.open.text[:0]
		if err := e.Event(&text); err != nil {
			b.Fatal(err)
		}
	}
}

// A whole answer of 60 words: what the documents at its beginning and its end add to its deltas.
func BenchmarkAnswer(b *testing.B) {
	req := decodeTest(b, `{"model":"m","input":"go"}`)
	var events []agent.Event
	for range 60 {
		events = append(events, agent.Event{Kind: agent.Text, Text: []byte("Hello, this is a word. ")})
	}
	events = append(events, agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}})
	b.ReportAllocs()
	for b.Loop() {
		play(b, NewStream(req, testOptions(), &discard{}), events, nil)
	}
}

// A conversation of 1 MB in 200 items: what decoding costs per request of a long session.
func BenchmarkDecode(b *testing.B) {
	items := make([]string, 200)
	for i := range items {
		items[i] = fmt.Sprintf(`{"type":"message","role":%q,"content":[{"type":"input_text","text":%q}]}`, []string{"user", "assistant"}[i%2], strings.Repeat("word ", 1000))
	}
	body := []byte(`{"model":"m","input":[` + strings.Join(items, ",") + `]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		req, err := Decode(body, known.Sender{})
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := req.Turn(nil, openTest); err != nil {
			b.Fatal(err)
		}
	}
}
