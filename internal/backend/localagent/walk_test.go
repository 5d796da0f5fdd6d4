package localagent

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/cursorpb"
)

// A server message, for tests.
func updateMessage(u *cursorpb.InteractionUpdate) []byte {
	return encode(&cursorpb.AgentServerMessage{Message: &cursorpb.AgentServerMessage_InteractionUpdate{InteractionUpdate: u}})
}

func textMessage(text string) []byte {
	return updateMessage(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_TextDelta{TextDelta: &cursorpb.TextDelta{Text: text}}})
}

func thinkingMessage(text string) []byte {
	return updateMessage(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_ThinkingDelta{ThinkingDelta: &cursorpb.ThinkingDelta{Text: text}}})
}

func TestTextDeltaFindsText(t *testing.T) {
	notice := updateMessage(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_TextDelta{
		TextDelta: &cursorpb.TextDelta{Text: "low on quota", IsServerNotice: true},
	}})
	// An update with a time stamp and a field of the future before the text, and one behind it.
	var update []byte
	update = protowire.AppendTag(update, 25, protowire.VarintType)
	update = protowire.AppendVarint(update, 1700000000000)
	update = appendField(update, 4000, []byte("new"))
	update = appendField(update, fieldText, appendField(appendField(nil, 9, []byte("newer")), fieldDeltaText, []byte("hi")))
	future := appendField(appendField(nil, fieldUpdate, update), 77, []byte("newest"))

	for _, tt := range []struct {
		name    string
		message []byte
		kind    agent.Kind
		text    string
		ok      bool
	}{
		{"text", textMessage("hi"), agent.Text, "hi", true},
		{"half a character", bytes.Replace(textMessage("hi"), []byte("hi"), []byte("h\xc5"), 1), agent.Text, "h\xc5", true},
		{"thinking", thinkingMessage("hm"), agent.Reasoning, "hm", true},
		{"empty text", textMessage(""), agent.Text, "", true},
		{"a notice is no part of the answer", notice, agent.Reasoning, "low on quota", true},
		{"unknown fields are passed over", future, agent.Text, "hi", true},
		{"another update", updateMessage(&cursorpb.InteractionUpdate{Message: &cursorpb.InteractionUpdate_Heartbeat{Heartbeat: &cursorpb.Empty{}}}), 0, "", false},
		{"another message", encode(&cursorpb.AgentServerMessage{Message: &cursorpb.AgentServerMessage_KvServerMessage{KvServerMessage: &cursorpb.KvServerMessage{Id: 1}}}), 0, "", false},
		{"nothing", nil, 0, "", false},
		{"a cut message", textMessage("hi")[:4], 0, "", false},
	} {
		kind, text, ok := textDelta(tt.message)
		if ok != tt.ok || ok && (kind != tt.kind || string(text) != tt.text) {
			t.Errorf("%s: got %v %q %v", tt.name, kind, text, ok)
		}
	}
}

func FuzzTextDelta(f *testing.F) {
	f.Add(textMessage("hi"))
	f.Add(thinkingMessage("hm"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		_, text, ok := textDelta(message)
		var m cursorpb.AgentServerMessage
		if proto.Unmarshal(message, &m) != nil {
			return
		}
		u := m.GetInteractionUpdate()
		said := u.GetTextDelta().GetText() + u.GetThinkingDelta().GetText()
		// Both readings must agree on what upstream sends: a message with one update. (Where a field is repeated they
		// may differ: generated code merges, and the walk leaves it to generated code.)
		if canonical := encode(&m); ok && bytes.Equal(canonical, message) && len(m.ProtoReflect().GetUnknown()) == 0 && string(text) != said {
			t.Errorf("the walk says %q, generated code %q", text, said)
		}
	})
}

func TestJoinerIsIndependentOfHowTextIsCut(t *testing.T) {
	const text = "aůň🐎 \U0001F469\u200D\U0001F680 end"
	for size := 1; size < len(text); size++ {
		if got := joined(t, cutInto(text, size)); got != text {
			t.Errorf("pieces of %d bytes: got %q", size, got)
		}
	}
}

func TestJoinerReplacesWhatIsNoCharacter(t *testing.T) {
	for _, tt := range []struct{ pieces, want string }{
		{"a\xff|b", "a\uFFFDb"},
		{"a\xc5|b", "a\uFFFDb"},  // the rest never comes
		{"a\xf0\x9f", "a\uFFFD"}, // the end comes instead
		{"\xc5|\xc5|\xaf", "\uFFFDů"},
		{"", ""},
	} {
		if got := joined(t, strings.Split(tt.pieces, "|")); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.pieces, got, tt.want)
		}
	}
}

func cutInto(text string, size int) []string {
	var pieces []string
	for len(text) > size {
		pieces = append(pieces, text[:size])
		text = text[size:]
	}
	return append(pieces, text)
}

// joined passes the pieces through a joiner and checks what it promises on the way.
func joined(t *testing.T, pieces []string) string {
	t.Helper()
	var j joiner
	var all strings.Builder
	for _, p := range pieces {
		yields := j.yields([]byte(p))
		out := j.next([]byte(p))
		if !utf8.Valid(out) {
			t.Errorf("%q: a piece is no UTF-8: %q", pieces, out)
		}
		if yields != (len(out) > 0) {
			t.Errorf("%q: yields said %v before %q", pieces, yields, out)
		}
		all.Write(out)
	}
	all.Write(j.rest())
	return all.String()
}

func FuzzJoiner(f *testing.F) {
	f.Add("aůň🐎", 2)
	f.Add("\xff\xf0\x9f", 1)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 1 || size > 100 {
			return
		}
		got := joined(t, cutInto(text, size))
		if utf8.ValidString(text) && got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	})
}

func TestCheckpointsAreKeptAsTheyCome(t *testing.T) {
	state := encode(&cursorpb.ConversationState{TokenDetails: &cursorpb.ConversationTokenDetails{UsedTokens: 1234}})
	state = appendField(state, 4002, []byte("of a newer server"))
	got, ok := checkpointBytes(appendField(nil, fieldCheckpoint, state))
	if !ok || !bytes.Equal(got, state) {
		t.Errorf("got %x, want %x", got, state)
	}
	if n := contextTokens(got); n != 1234 {
		t.Errorf("%d tokens, want 1234", n)
	}
	if _, ok := checkpointBytes(textMessage("hi")); ok {
		t.Error("text was taken for a checkpoint")
	}
}
