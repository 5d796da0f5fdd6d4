package agent

import (
	"slices"
	"strings"
	"testing"
)

// conversation is one in which an image of the user and one of a tool can't be used.
func conversation() []Message {
	fault := &Error{Code: InvalidValue, Message: "It is broken."}
	return []Message{
		{Role: User, Parts: []Part{{Text: "look"}, {Image: &Image{Fault: fault}}, {Image: &Image{URL: "https://x/y"}}}},
		{Role: Assistant, Parts: []Part{{Text: "I "}, {Text: "do"}}, Calls: []ToolCall{{ID: "c", Name: "look", Arguments: []byte("{}")}}},
		{Role: ToolRole, CallID: "c", Parts: []Part{{Image: &Image{Fault: fault}}}},
	}
}

func TestATraceThatIsNotSampledHasNoID(t *testing.T) {
	for parent, want := range map[string]string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "0af7651916cd43dd8448eb211c80319c",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00": "",
		"": "", "nonsense": "",
	} {
		if got := (Trace{Parent: parent}).Sampled(); got != want {
			t.Errorf("%q is trace %q", parent, got)
		}
	}
}

func TestAnImageThatCannotBeUsedBecomesANote(t *testing.T) {
	before := conversation()
	after := WithoutUnusable(before)
	const note = "[There was an image here. It is broken.]"
	if got := after[0].Parts; got[0].Text != "look" || got[1] != (Part{Text: note}) || got[2].Image == nil {
		t.Errorf("the user's parts: %+v", got)
	}
	if got := after[2].Parts; len(got) != 1 || got[0] != (Part{Text: note}) {
		t.Errorf("the tool's parts: %+v", got)
	}
	if before[0].Parts[1].Image == nil || before[2].Parts[0].Image == nil {
		t.Error("the messages themselves were changed")
	}
	if good := before[1:2]; &WithoutUnusable(good)[0] != &good[0] {
		t.Error("messages without such images were copied")
	}
}

func TestOnlyANewImageIsAnError(t *testing.T) {
	messages := conversation()
	if err := UnusableImage(messages); err != nil {
		t.Errorf("old ones: %v", err)
	}
	usable := Message{Role: User, Parts: []Part{{Text: "and?"}, {Image: &Image{}}}}
	if err := UnusableImage(append(messages, usable)); err != nil {
		t.Errorf("a good one: %v", err)
	}
	if err := UnusableImage(append(messages, usable, messages[0])); CodeOf(err) != InvalidValue {
		t.Errorf("a new one: %v", err)
	}
}

func TestFirstNewFollowsWhatTheModelHasSeen(t *testing.T) {
	messages := append(conversation(), Message{Role: User}, Message{Role: System})
	for n, want := range []int{0, 0, 2, 3, 3, 3} {
		if got := FirstNew(messages[:n]); got != want {
			t.Errorf("of %d messages: %d, want %d", n, got, want)
		}
	}
}

func TestTheTextOfAMessageIsJoined(t *testing.T) {
	messages := conversation()
	for i, want := range []string{"look", "I do", ""} {
		if got := messages[i].Text(); got != want {
			t.Errorf("message %d: %q", i, got)
		}
	}
	if got := (&Message{}).Text(); got != "" {
		t.Errorf("no parts: %q", got)
	}
}

func TestSystemTextNamesWhoSpeaksInAnExample(t *testing.T) {
	req := Request{Messages: []Message{
		{Role: System, Parts: []Part{{Text: "Translate."}}}, {Role: User, Parts: []Part{{Text: "not this"}}},
		{Role: System, Name: "example_user", Parts: []Part{{Text: "Bon"}, {Text: "jour"}}},
		{Role: System, Name: "example_assistant", Parts: []Part{{Text: "Good day"}}},
	}}
	if got := req.SystemText(); got != "Translate.\nexample_user: Bonjour\nexample_assistant: Good day" {
		t.Errorf("the system text is %q", got)
	}
}

func TestTokensAreEstimatedFromAllThatIsSent(t *testing.T) {
	for size, want := range map[int]int64{0: 0, 1: 1, 4: 1, 5: 2, 400: 100} {
		if got := EstimateTokens(size); got != want {
			t.Errorf("%d bytes: %d tokens, want %d", size, got, want)
		}
	}
	req := &Request{Messages: conversation(), Tools: []Tool{{Name: "look", Description: "looks", Parameters: []byte("{}")}}}
	// look, I do, look{}, and the tool: 4 + 4 + 6 + 11 bytes; three images.
	if got, want := EstimatePrompt(req), EstimateTokens(25)+3*TokensPerImage; got != want {
		t.Errorf("%d tokens, want %d", got, want)
	}
}

func TestEveryCodeHasAName(t *testing.T) {
	all := Codes()
	if len(all) != len(codes)-int(Internal) || !slices.Contains(all, Canceled) {
		t.Errorf("%d codes", len(all))
	}
	seen := map[string]bool{}
	for _, c := range all {
		if name := c.String(); name == "unknown" || name == "" || seen[name] {
			t.Errorf("code %d is called %q", c, name)
		} else {
			seen[name] = true
		}
	}
	for _, c := range []Code{Code(len(codes)), Code(len(codes) + 1)} {
		if c.String() != "unknown" {
			t.Errorf("code %d is called %q", c, c)
		}
	}
}

func TestManyToolsAreNotAllListed(t *testing.T) {
	tools := make([]Tool, maxListed+1)
	for n, more := range map[int]bool{maxListed: false, maxListed + 1: true} {
		if said := NoSuchTool(tools[:n]); strings.HasSuffix(said, " and others.") != more {
			t.Errorf("%d tools: %q", n, said)
		}
	}
}

func TestSizeCountsAllThatIsKept(t *testing.T) {
	req := &Request{
		Format: Format{Schema: []byte("{}")}, Tools: []Tool{{Description: "looks", Parameters: []byte("{}")}},
		Messages: []Message{
			{Parts: []Part{{Text: "look"}, {Image: &Image{Data: make([]byte, 100), URL: "https://x"}}}},
			{Calls: []ToolCall{{Arguments: []byte("{}")}, {Arguments: []byte(`{"a":1}`)}}},
		},
	}
	if got, want := req.Size(), 2+5+2+4+100+9+2+7; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

func TestEachKindOfTokenHasItsPrice(t *testing.T) {
	u := Usage{Input: 1, CacheWrite: 20, CacheRead: 300, Output: 4000, Price: Price{Input: 1e6, CacheWrite: 2e6, CacheRead: 3e6, Output: 4e6}}
	if in, out := u.InputUSD(), u.OutputUSD(); in != 1+40+900 || out != 16000 || u.CostUSD() != in+out {
		t.Errorf("%v and %v, %v in all", in, out, u.CostUSD())
	}
	if u.Prompt() != 321 || u.Total() != 4321 {
		t.Errorf("%d tokens of the prompt, %d in all", u.Prompt(), u.Total())
	}
}
