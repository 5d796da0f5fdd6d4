package cursorsim

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"composer-api/internal/sim/script"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// chatMessage builds a request with every field that must be there, the given text, and changes: a value by its path, or
// "-" to leave the field out.
func chatMessage(text string, changes map[string]string) []byte {
	values := map[string]string{
		"1.1": text, "1.13": "message", "5.1": "composer-2.5", "23": "01234567-89ab-4cde-8f01-23456789abcd",
		"26.1": "linux", "26.2": "amd64", "26.3": "", "26.4": "test", "26.5": "2026-11-23T20:15:00Z", "30.1": "message", "54": "Ask",
	}
	for path, v := range chatFields {
		values[path] = v
	}
	for path, v := range changes {
		values[path] = v
	}
	return appendMessage(nil, 1, chatFieldsBelow("", values))
}

func chatFieldsBelow(prefix string, values map[string]string) []byte {
	// Whatever is a number in the table is one on the wire, but for the texts that are empty.
	var numbers []int
	for path := range values {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			first, _, _ := strings.Cut(rest, ".")
			if n, _ := strconv.Atoi(first); !slices.Contains(numbers, n) {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	var b []byte
	for _, n := range numbers {
		path := prefix + strconv.Itoa(n)
		value, leaf := values[path]
		number, notNumber := strconv.ParseUint(value, 10, 64)
		switch {
		case !leaf:
			b = appendMessage(b, protowire.Number(n), chatFieldsBelow(path+".", values))
		case value == "-":
		case chatFields[path] != "" && notNumber == nil:
			b = protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(n), protowire.VarintType), number)
		default:
			b = protowire.AppendString(protowire.AppendTag(b, protowire.Number(n), protowire.BytesType), value)
		}
	}
	return b
}

// ask sends a request to a simulator and returns the texts of the frames, "R:" or "T:" before each.
func (c chatClient) ask(t *testing.T, message []byte) (frames []string, end string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/chat", bytes.NewReader(appendFrame(nil, 0, message)))
	for name, value := range map[string]string{
		"Authorization": "Bearer " + c.sim.tokens.mint("crsr_test", 0), "Content-Type": "application/connect+proto",
		"Connect-Protocol-Version": "1", "X-Cursor-Timezone": "UTC", "X-Cursor-Client-Version": "1", "X-Cursor-Client-Type": "test",
		"X-Request-Id": strconv.Itoa(len(c.sim.Runs())), "X-Session-Id": "s",
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	c.sim.ServeHTTP(w, r)
	for {
		flags, payload, err := readFrame(w.Body)
		switch {
		case err == io.EOF:
			return frames, end
		case err != nil:
			t.Fatal(err)
		case flags&flagEnd != 0:
			end = string(payload)
			continue
		}
		fields := map[string][]string{}
		if err := scanFields(payload, "", fields, func(path string) bool { return path == "2" || path == "2.25" }); err != nil {
			t.Fatal(err)
		}
		for _, v := range fields["2.25.1"] {
			frames = append(frames, "R:"+v)
		}
		for _, v := range fields["2.1"] {
			frames = append(frames, "T:"+v)
		}
	}
}

// A chatClient asks a simulator of its own.
type chatClient struct{ sim *Sim }

func newChatClient(t *testing.T, source string) chatClient {
	t.Helper()
	s, err := script.Parse("test", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return chatClient{New(Config{Script: s})}
}

func TestChatPlaysATurnOverTwoRequests(t *testing.T) {
	c := newChatClient(t, "turn\nthink Hm.\ncall read {\"path\":\"a\"}\ntext It says {result 1}\n")
	const tools = "{\"name\":\"read\",\"parameters\":{}}\n\n<user_message>\nRead a.\n</user_message>\n"
	frames, end := c.ask(t, chatMessage(tools, nil))
	want := []string{"R:Hm.", "T:<|tool_calls_begin|><|tool_call_begin|>\nread\n<|tool_sep|>path\na\n<|tool_call_end|><|tool_calls_end|>"}
	if diff := cmp.Diff(want, frames); diff != "" || end != "{}" {
		t.Errorf("end %s (-want +got)\n%s", end, diff)
	}
	frames, end = c.ask(t, chatMessage(tools+"<assistant_message>\n…\n</assistant_message>\n<tool_result tool=\"read\" call=\"1\" status=\"completed\">\nforty\ntwo\n</tool_result>\n", nil))
	if diff := cmp.Diff([]string{"T:It says forty\ntwo"}, frames); diff != "" || end != "{}" {
		t.Errorf("end %s (-want +got)\n%s", end, diff)
	}
	if v := c.sim.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
	runs := c.sim.Runs()
	if len(runs) != 2 || runs[0].Transport != "chat" || runs[0].Mode != "Ask" || runs[0].Model != "composer-2.5" || !slices.Equal(runs[0].Tools, []string{"read"}) {
		t.Errorf("the record is %+v", runs)
	}
}

func TestChatErrorsCarryTheirDetailsInJSON(t *testing.T) {
	c := newChatClient(t, "turn\nerror internal title=\"Oh\" No.\n")
	_, end := c.ask(t, chatMessage("hello", nil))
	if !strings.Contains(end, `"debug":{"details":{"detail":"No.","title":"Oh"}}`) || !strings.Contains(end, `"code":"internal"`) {
		t.Errorf("the end is %s", end)
	}
}

func TestChatNotesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, want string
		changes    map[string]string
	}{
		{"a value", `request field 53 is ["0"], not "1"`, map[string]string{"53": "0"}},
		{"a field that is not there", `request field 15.3 is [], not ""`, map[string]string{"15.3": "-"}},
		{"a conversation without an id", "is not a UUID", map[string]string{"23": "mine"}},
		{"a mode that does not exist", "neither Agent nor Ask", map[string]string{"54": "Plan"}},
		{"two ids for one message", "30.1 is not the id", map[string]string{"30.1": "other"}},
		{"an image without a size", "the 1 images have", map[string]string{"1.10.1": "PNG"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newChatClient(t, "")
			client.ask(t, chatMessage("hello", c.changes))
			for _, v := range client.sim.Violations() {
				if strings.Contains(v.What, c.want) {
					return
				}
			}
			t.Errorf("violations: %v", client.sim.Violations())
		})
	}
}

func TestTranscripts(t *testing.T) {
	type facts struct {
		Tools            []string
		Messages, Last   int
		Prompt, Results1 string
		Failed           bool
	}
	for _, c := range []struct {
		name, text string
		want       facts
	}{
		{"a question", "What is [this]?", facts{Messages: 1, Prompt: "What is [this]?"}},
		{"a history", "Rules.\n\n<system_instructions>\nBe brief.\n</system_instructions>\n<user_message name=\"Ada\">\nOne.\n</user_message>\n" +
			"<assistant_message>\nTwo.\n</assistant_message>\n<user_message>\nThree\n</user_message>\n<user_message>\nfour.\n</user_message>\n",
			facts{Messages: 5, Prompt: "Three\nfour."}},
		{"results", "{\"name\":\"read\",\"parameters\":{}}\nnot a tool: {\"name\":\"x\"}\n\n<user_message>\nGo.\n</user_message>\n<assistant_message>\n\n</assistant_message>\n" +
			"<tool_result tool=\"read\" call=\"1\" status=\"failed\">\nno\n</tool_result>\n<tool_result tool=\"read\" call=\"2\" status=\"completed\">\n\n</tool_result>\n" +
			"<tool_result tool=\"read\" call=\"3\" status=\"unanswered\"/>\n",
			facts{Tools: []string{"read"}, Messages: 4, Prompt: "Go.", Results1: "no", Failed: true, Last: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readTranscript(c.text)
			have := facts{got.tools, got.messages, got.lastCall, got.prompt, got.results[1].Text, got.results[1].IsError}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Whatever the style, a marker or a body never changes what the arguments are.
func TestStylesKeepArguments(t *testing.T) {
	for seed := range uint64(50) {
		style := randomStyle(rand.New(rand.NewPCG(seed, 0)))
		for _, args := range []string{`{"a":"1"}`, `{"a":"x <|tool_sep|> y"}`} {
			if body := style.callBody(script.Call{Tool: "t", Args: []byte(args)}); !strings.HasPrefix(body, "{") {
				t.Errorf("%s is written as %q, which reads otherwise", args, body)
			}
		}
	}
}

func FuzzChatRequest(f *testing.F) {
	f.Add(chatMessage("<user_message>\nhello\n</user_message>\n", nil))
	f.Add([]byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		q, err := decodeChatRequest(payload)
		if err == nil {
			q.check()
			readTranscript(q.text)
		}
	})
}
