package markup

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"composer-api/internal/agent"

	"github.com/google/go-cmp/cmp"
)

// tools are what the tests' client offers.
var tools = []agent.Tool{
	{Name: "read", Parameters: json.RawMessage(`{"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"}}}`)},
	{Name: "shell", Parameters: json.RawMessage(`{"type":"object","properties":{"command":{"type":"string"},"timeout":{"type":"number"},"env":{"type":"object"},"background":{"type":"boolean"}},"additionalProperties":false}`)},
	{Name: "any"},
	{Name: "mcp-x.find"},
}

// A record is what came out of the filters, adjacent pieces joined: "R:" reasoning, "T:" text, "C:" a call, "X:" a call
// that is refused.
type record struct {
	out []string
	bad string // a piece that broke the contract
}

func (r *record) add(kind string, p []byte) {
	if len(p) == 0 || !utf8.Valid(p) {
		r.bad = fmt.Sprintf("%s%q", kind, p)
	}
	if n := len(r.out); n > 0 && strings.HasPrefix(r.out[n-1], kind) && kind != "C:" && kind != "X:" {
		r.out[n-1] += string(p)
		return
	}
	r.out = append(r.out, kind+string(p))
}

// joined wires both filters to a record, as the backend does.
func joined(r *record) (*ThinkingFilter, *CallFilter) {
	calls := &CallFilter{
		Tools: tools,
		Text:  func(p []byte) { r.add("T:", p) },
		Call: func(name string, arguments json.RawMessage) {
			if !json.Valid(arguments) || arguments[0] != '{' {
				r.bad = fmt.Sprintf("arguments %q", arguments)
			}
			r.add("C:", []byte(name+string(arguments)))
		},
		Refuse: func(refusal Refusal) {
			if !json.Valid(refusal.Arguments) || refusal.Why == "" {
				r.bad = fmt.Sprintf("refusal %+v", refusal)
			}
			r.add("X:", []byte(refusal.Name+string(refusal.Arguments)))
		},
	}
	return &ThinkingFilter{Reasoning: func(p []byte) { r.add("R:", p) }, Text: calls.Write}, calls
}

// play sends fields, "R:…" for thinking and "T:…" for text, in frames whose lengths cut chooses.
func play(fields []string, cut func(n int) int) record {
	var r record
	thinking, calls := joined(&r)
	for _, f := range fields {
		write := thinking.WriteText
		if f[0] == 'R' {
			write = thinking.WriteThinking
		}
		for rest := f[2:]; rest != ""; {
			n := cut(len(rest))
			for n < len(rest) && !utf8.RuneStart(rest[n]) {
				n++
			}
			write([]byte(rest[:n]))
			rest = rest[n:]
		}
	}
	thinking.End()
	calls.End()
	return r
}

func whole(n int) int { return n }
func byOne(int) int   { return 1 }

const (
	begin    = "<|tool_calls_begin|>"
	end      = "<|tool_calls_end|>"
	call1    = "<|tool_call_begin|>\nread\n<|tool_sep|>path\na.go\n<|tool_call_end|>"
	call1Out = `C:read{"path":"a.go"}`
	call2    = "<|tool_call_begin|>\nshell\n<|tool_sep|>command\nls -l\n<|tool_sep|>timeout\n5\n<|tool_call_end|>"
	call2Out = `C:shell{"command":"ls -l","timeout":5}`
	foreign  = "<|tool_call_begin|>\nrm\n<|tool_call_end|>"
)

// write is a call of any, whose argument is text, and wrote is what comes of it.
func write(text string) string {
	return "<|tool_call_begin|>\nany\n<|tool_sep|>a\n" + text + "\n<|tool_call_end|>"
}
func wrote(text string) string { return `C:any{"a":` + quoted(text) + "}" }

// filterCases say what comes out of the two filters together. Every one of them is also a seed of the fuzz test, and is
// tried with its frames cut in every way that matters.
var filterCases = []struct {
	name string
	in   []string
	want []string
}{
	{"text is text", []string{"T:Hello, world. a < b"}, []string{"T:Hello, world. a < b"}},
	{"white space is kept where no marker follows", []string{"T: \n a \n\n b \n"}, []string{"T: \n a \n\n b \n"}},
	{"unmarked thinking is reasoning", []string{"R:Let me see."}, []string{"R:Let me see."}},
	{"the answer follows in the text field", []string{"R:Let me see.", "T:It is 4."}, []string{"R:Let me see.", "T:It is 4."}},
	{"the answer follows in the thinking field", []string{"R:Let me see.</think>It is 4."}, []string{"R:Let me see.", "T:It is 4."}},
	{"a final marker", []string{"R:Let me see.<|final|>It is 4."}, []string{"R:Let me see.", "T:It is 4."}},
	{"full-width bars", []string{"R:Let me see.<｜final｜>It is 4."}, []string{"R:Let me see.", "T:It is 4."}},
	{"blanks in the marker", []string{"R:a< / think >b", "R:c"}, []string{"R:a", "T:bc"}},
	{"blanks in a barred marker", []string{"R:a< ｜ final\t｜ >b"}, []string{"R:a", "T:b"}},
	{"too many blanks make it no marker", []string{"R:a<     /think>b"}, []string{"R:a<     /think>b"}},
	{"white space before a marker is not text", []string{"R:a \n\n</think>\n\nb"}, []string{"R:a", "T:\n\nb"}},
	{"two markers in a row", []string{"R:a</think>\n<|final|>b"}, []string{"R:a", "T:b"}},
	{"a later marker vanishes, what is out stays", []string{"R:a</think>b<|final|>c"}, []string{"R:a", "T:bc"}},
	{"nearly a marker", []string{"R:a</thin>b<|finale|>c</think"}, []string{"R:a</thin>b<|finale|>c</think"}},
	{"a marker at the very end", []string{"R:a</think>"}, []string{"R:a"}},
	{"a marker opens the text field", []string{"R:a", "T:\n</think>b</think>"}, []string{"R:a", "T:b</think>"}},
	{"text may speak of markers", []string{"T:Close it with </think>."}, []string{"T:Close it with </think>."}},
	{"a marker is not split over two fields", []string{"R:a</th", "T:ink>b"}, []string{"R:a</th", "T:ink>b"}},
	{"thinking again after the answer began", []string{"R:a</think>b", "T:c", "R:d"}, []string{"R:a", "T:bc", "R:d"}},
	{"thinking does not call tools", []string{"R:" + begin + call1 + end}, []string{"R:" + begin + call1 + end}},

	{"a call", []string{"T:" + begin + call1 + end}, []string{call1Out}},
	{"a call in the answer within the thinking field", []string{"R:hm</think>Now:\n" + begin + call1 + end}, []string{"R:hm", "T:Now:", call1Out}},
	{"white space before and after a block is not text", []string{"T:Now.\n\n" + begin + "\n" + call1 + "\n" + end + "\n"}, []string{"T:Now.", call1Out}},
	{"two calls in a block", []string{"T:" + begin + call1 + "\n" + call2 + end}, []string{call1Out, call2Out}},
	{"two blocks", []string{"T:" + begin + call1 + end + " and " + begin + call2 + end}, []string{call1Out, "T: and", call2Out}},
	{"the outer end is missing", []string{"T:a" + begin + call1}, []string{"T:a", call1Out}},
	{"the outer begin is missing", []string{"T:a" + call1 + end}, []string{"T:a", call1Out}},
	{"the outer pair is missing", []string{"T:a" + call1 + "b"}, []string{"T:a", call1Out, "T:b"}},
	{"the outer end ends the call", []string{"T:" + begin + strings.TrimSuffix(call1, "<|tool_call_end|>") + end}, []string{call1Out}},
	{"text between calls may be that of a value", []string{"T:" + begin + call1 + "then" + call2 + end}, []string{"X:read{}"}},
	{"a block that never ends is text", []string{"T:a\n" + begin + "<|tool_call_begin|>\nread\n<|tool_sep|>path\n"}, []string{"T:a\n" + begin + "<|tool_call_begin|>\nread\n<|tool_sep|>path\n"}},
	{"a begin and nothing else is text", []string{"T:a " + begin + " "}, []string{"T:a " + begin + " "}},
	{"a begin in prose is text", []string{"T:The marker " + begin + " opens, " + end + " closes."}, []string{"T:The marker " + begin + " opens, " + end + " closes."}},
	{"an empty block is text", []string{"T:" + begin + end}, []string{"T:" + begin + end}},
	{"a tool that was not offered is refused", []string{"T:a " + begin + foreign + end}, []string{"T:a", "X:rm{}"}},
	{"the other call of its block is still made", []string{"T:" + begin + call1 + foreign + end + "b"}, []string{call1Out, "X:rm{}", "T:b"}},
	{"and after it, too", []string{"T:" + begin + foreign + call1 + end}, []string{"X:rm{}", call1Out}},
	{"what is no call between the markers is text", []string{"T:" + begin + "<|tool_call_begin|>the call<|tool_call_end|>" + end}, []string{"T:" + begin + "<|tool_call_begin|>the call<|tool_call_end|>" + end}},
	{"an end that is written twice", []string{"T:" + begin + call1 + "\n<|tool_call_end|>" + end + end}, []string{call1Out}},
	{"with several calls it may be that of the first", []string{"T:" + begin + call1 + call2 + "<|tool_call_end|>" + end}, []string{"X:read{}"}},
	{"a call that never ends does not take the next with it", []string{"T:<|tool_call_begin|>\nread\n" + begin + call1 + end}, []string{"T:<|tool_call_begin|>\nread", call1Out}},
	{"full-width bars and blocks for underscores", []string{"T:<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>\nread\n<｜tool▁sep｜>path\na.go\n<｜tool▁call▁end｜><｜tool▁calls▁end｜>"}, []string{call1Out}},
	{"blanks around the words", []string{"T:< | tool_calls_begin | >< | tool_call_begin | >\nread\n< | tool_sep | >path\na.go\n< | tool_call_end | >< | tool_calls_end | >"}, []string{call1Out}},
	{"separators in text are text", []string{"T:a <|tool_sep|> b"}, []string{"T:a <|tool_sep|> b"}},

	{"a call in a value does not run", []string{"T:" + begin + write("See:\n"+begin+call2+end+"\nand so on") + end}, []string{wrote("See:\n" + begin + call2 + end + "\nand so on")}},
	{"nor do two", []string{"T:" + begin + write(call2+"\n"+call1) + call1 + end}, []string{wrote(call2 + "\n" + call1), call1Out}},
	{"nor does one in JSON", []string{"T:" + begin + `<|tool_call_begin|>{"name": "any", "arguments": {"a": ` + quoted(call2+end) + "}}<|tool_call_end|>" + end}, []string{`C:any{"a": ` + quoted(call2+end) + "}"}},
	{"nor in parentheses", []string{"T:<|tool_call_begin|>any({\"a\": " + quoted("<|tool_call_end|>"+begin+call2) + "})<|tool_call_end|>b"}, []string{`C:any{"a": ` + quoted("<|tool_call_end|>"+begin+call2) + "}", "T:b"}},
	{"a value holds a begin", []string{"T:" + begin + write("A call begins with <|tool_call_begin|> here.") + end}, []string{wrote("A call begins with <|tool_call_begin|> here.")}},
	{"a value holds an end", []string{"T:" + begin + write("A call ends with <|tool_call_end|> here.") + end}, []string{wrote("A call ends with <|tool_call_end|> here.")}},
	{"and another call follows", []string{"T:" + begin + write("A call ends with <|tool_call_end|> here.") + call1 + end}, []string{"X:any{}"}},
	{"a value holds both ends", []string{"T:" + begin + write("It ends with <|tool_call_end|>"+end+" here.") + end}, []string{wrote("It ends with <|tool_call_end|>" + end + " here.")}},
	{"a value holds an outer begin", []string{"T:" + begin + write("Calls begin with "+begin+" here.") + end}, []string{wrote("Calls begin with " + begin + " here.")}},
	{"a value holds an outer end", []string{"T:" + begin + write("Calls end with "+end+" here.") + end}, []string{wrote("Calls end with " + end + " here.")}},
	{"a value holds an end and a begin", []string{"T:" + begin + write("From <|tool_call_end|> to <|tool_call_begin|> is nothing.") + end}, []string{wrote("From <|tool_call_end|> to <|tool_call_begin|> is nothing.")}},
	{"a value holds all markers", []string{"T:" + begin + write(begin+" <|tool_call_begin|> <|tool_sep|> <|tool_call_end|> "+end) + call1 + end}, []string{wrote(begin + " <|tool_call_begin|> <|tool_sep|> <|tool_call_end|> " + end), call1Out}},
	{"a call that begins in a value and never ends", []string{"T:" + begin + write("<|tool_call_begin|>\nshell\n<|tool_sep|>command\nrm\n") + end}, []string{"X:any{}"}},
	{"a call without an end before another", []string{"T:" + begin + strings.TrimSuffix(write("x"), "<|tool_call_end|>") + call2 + end}, []string{"X:any{}"}},
	{"a value without an end runs nothing", []string{"T:" + begin + "<|tool_call_begin|>\nany\n<|tool_sep|>a\n" + begin + strings.TrimSuffix(call2, "<|tool_call_end|>") + end}, []string{"X:any{}"}},
	{"an end and a call in a value", []string{"T:" + begin + write("It ends so: <|tool_call_end|>\n"+call2+"\nThat was it.") + end}, []string{"X:any{}"}},
	{"a value keeps its line breaks", []string{"T:" + begin + write("\n\na\n\n") + end}, []string{wrote("\n\na\n\n")}},

	{"a tool in another case", []string{"T:" + begin + strings.Replace(call1, "read", "Read", 1) + end}, []string{call1Out}},
	{"a made-up result after a call is left out", []string{"T:" + begin + call1 + end + "<|tool_outputs_begin|><|tool_output_begin|>package a<|tool_output_end|><|tool_outputs_end|>It is empty." + begin + call2 + end}, []string{call1Out}},
	{"one that does not end, too", []string{"T:" + call1 + "\n<｜tool▁output▁begin｜>package a"}, []string{call1Out}},
	{"one without a call", []string{"T:So:\n<|tool_outputs_begin|><|tool_output_begin|>package a<|tool_output_end|><|tool_outputs_end|>It is empty."}, []string{"T:So:It is empty."}},
	{"one as our prompts have it", []string{"T:" + begin + call1 + end + "\n<tool_result tool=\"read\" call=\"1\" status=\"completed\">\npackage a\n</tool_result>\nIt is empty."}, []string{call1Out}},
	{"and without a call", []string{"T:So: <tool_result call=\"1\">\npackage a\n</tool_result>\nIt is empty."}, []string{"T:So:\nIt is empty."}},
	{"other tags are text", []string{"T:<tool_results> <tool_result_id> <tool> </tool_result>"}, []string{"T:<tool_results> <tool_result_id> <tool> </tool_result>"}},
	{"a begin of results is text", []string{"T:The marker <|tool_output_begin|> opens."}, []string{"T:The marker <|tool_output_begin|> opens."}},
}

func TestFilters(t *testing.T) {
	for _, c := range filterCases {
		t.Run(c.name, func(t *testing.T) {
			got := play(c.in, whole)
			if diff := cmp.Diff(c.want, got.out); diff != "" || got.bad != "" {
				t.Errorf("(-want +got)\n%s%s", diff, got.bad)
			}
		})
	}
}

// What comes out must not depend on where the frames were cut: every case in bytes, in two frames cut at every place,
// and in random frames.
func TestOutputIsIndependentOfFrames(t *testing.T) {
	for _, c := range filterCases {
		t.Run(c.name, func(t *testing.T) {
			check := func(how string, cut func(int) int) {
				t.Helper()
				if diff := cmp.Diff(c.want, play(c.in, cut).out); diff != "" {
					t.Fatalf("%s (-want +got)\n%s", how, diff)
				}
			}
			check("byte by byte", byOne)
			longest := 0
			for _, f := range c.in {
				longest = max(longest, len(f))
			}
			for first := 1; first < longest; first++ {
				cuts := 0
				check(fmt.Sprintf("cut at %d", first), func(n int) int {
					if cuts++; cuts%2 == 1 {
						return min(first, n)
					}
					return n
				})
			}
			for seed := range uint64(20) {
				random := rand.New(rand.NewPCG(seed, 0))
				check(fmt.Sprintf("seed %d", seed), func(n int) int { return 1 + random.IntN(n) })
			}
		})
	}
}

// Whatever stands in a value, no other call runs than the one that holds it; and where the markers in it come in pairs, it
// runs with exactly that value. Only an end followed by the begin of a call can't be told from two calls that follow each
// other, so no such text is tried.
func TestNothingInAValueRuns(t *testing.T) {
	singles := []string{begin, end, "<|tool_call_begin|>", "<|tool_call_end|>", "<|tool_sep|>", "<|tool_call_begin|>\nshell\n", "<|tool_sep|>command\n"}
	paired := []string{"word", " ", "\n", "shell", "{", "\"", "(", call1, call2, foreign, begin + call1 + end, begin + "\n" + end, "<|tool_call_begin|> and <|tool_call_end|>"}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 7))
		var text strings.Builder
		whole := true
		for range 1 + random.IntN(6) {
			text.WriteString(" x ") // text beside each marker: see above
			if random.IntN(3) == 0 {
				text.WriteString(singles[random.IntN(len(singles))])
				whole = false
				continue
			}
			text.WriteString(paired[random.IntN(len(paired))])
		}
		text.WriteString(" x")
		got := play([]string{"T:Now.\n" + begin + write(text.String()) + end}, func(n int) int { return n }).out
		for _, piece := range got {
			if strings.HasPrefix(piece, "C:") && !strings.HasPrefix(piece, "C:any") {
				t.Errorf("%q:\n%q runs %s", text.String(), got, piece)
			}
		}
		if want := []string{"T:Now.", wrote(text.String())}; whole && !cmp.Equal(want, got) {
			t.Errorf("%q:\n%q", text.String(), got)
		}
	}
}

// Nothing is held back but white space and the beginning of a marker.
func TestNothingElseIsHeldBack(t *testing.T) {
	// No shape is longer than this, whatever blanks and spellings it uses.
	longest := len("<>") + 2*len("｜") + len("tool▁calls▁begin") + 4*maxBlanks
	in := "a <b> </thin k> <|tool_calls_begi> </think" + strings.Repeat(" ", 1000) + "x\n\n\n<<<|||｜｜>< | final |x" +
		strings.Repeat("\n", 3) + "<" + strings.Repeat(" ", 50) + "end."
	for _, shapes := range [][]shape{thinkingShapes, blockShapes} {
		s := scanner{shapes: shapes}
		out := 0
		for i := range len(in) {
			s.write([]byte{in[i]}, func(t token) { out += len(t.space) + len(t.raw) })
			held := in[out : i+1]
			mark := strings.TrimLeft(held, " \t\r\n")
			if len(held)-len(mark) > maxSpace || len(mark) > longest {
				t.Fatalf("%q is held back", held)
			}
			if _, n, partial := find([]byte(mark), shapes); n > 0 || !partial {
				t.Fatalf("%q is held back and can't become a marker", held)
			}
		}
	}
}

// Long white space neither piles up nor changes.
func TestLongWhiteSpaceIsText(t *testing.T) {
	space := strings.Repeat(" ", 5_000)
	got := play([]string{"T:a" + space + "b" + space}, byOne)
	if diff := cmp.Diff([]string{"T:a" + space + "b" + space}, got.out); diff != "" {
		t.Error("white space was changed")
	}
}

func TestHugeBlockIsText(t *testing.T) {
	in := "<|tool_call_begin|>\nany\n<|tool_sep|>a\n" + strings.Repeat("x", maxBlock) + call1 + "<|tool_call_end|>" + begin + call1 + end
	for _, size := range []int{1 << 16, len(in)} {
		got := play([]string{"T:" + in}, func(n int) int { return min(n, size) })
		if len(got.out) != 1 || got.out[0] != "T:"+in {
			t.Errorf("frames of %d bytes: the block did not come out as text", size)
		}
	}
}

func TestStreamingTextAllocatesNothing(t *testing.T) {
	calls := &CallFilter{Text: func([]byte) {}}
	thinking := &ThinkingFilter{Reasoning: func([]byte) {}, Text: calls.Write}
	frame := []byte(" word <b> more\n")
	n := testing.AllocsPerRun(100, func() { thinking.WriteText(frame) })
	if n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

// FuzzFilters checks, for any input and any frames: no panic, valid pieces, valid arguments, and the same output as for
// one frame.
func FuzzFilters(f *testing.F) {
	for _, c := range filterCases {
		f.Add(strings.Join(c.in, "\x00"), uint64(1))
	}
	for _, c := range bodyCases {
		f.Add("T:<|tool_call_begin|>"+c.body+"<|tool_call_end|>", uint64(2))
	}
	f.Fuzz(func(t *testing.T, input string, seed uint64) {
		var fields []string
		last := ""
		for field := range strings.SplitSeq(strings.ToValidUTF8(input, "?"), "\x00") {
			if len(field) > 2 && (field[:2] == "R:" || field[:2] == "T:") && field[:2] != last {
				fields = append(fields, field)
				last = field[:2]
			}
		}
		want := play(fields, whole)
		if want.bad != "" {
			t.Fatalf("bad piece: %s", want.bad)
		}
		random := rand.New(rand.NewPCG(seed, 0))
		for how, cut := range map[string]func(int) int{"bytes": byOne, "random": func(n int) int { return 1 + random.IntN(n) }} {
			got := play(fields, cut)
			if diff := cmp.Diff(want.out, got.out); diff != "" || got.bad != "" {
				t.Fatalf("frames: %s\n%s%s", how, got.bad, diff)
			}
		}
	})
}
