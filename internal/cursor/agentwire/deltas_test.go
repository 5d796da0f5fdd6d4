package agentwire

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/pb"
)

// A server message, for tests.
func updateMessage(u *pb.InteractionUpdate) []byte {
	return encode(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{InteractionUpdate: u}})
}

func textMessage(text string) []byte {
	return updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_TextDelta{TextDelta: &pb.TextDelta{Text: text}}})
}

func thinkingMessage(text string) []byte {
	return updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_ThinkingDelta{ThinkingDelta: &pb.ThinkingDelta{Text: text}}})
}

func TestTextDeltaFindsText(t *testing.T) {
	notice := updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_TextDelta{
		TextDelta: &pb.TextDelta{Text: "low on quota", IsServerNotice: true},
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
		{"another update", updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_Heartbeat{Heartbeat: &pb.Empty{}}}), 0, "", false},
		{"another message", encode(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_KvServerMessage{KvServerMessage: &pb.KvServerMessage{Id: 1}}}), 0, "", false},
		{"nothing", nil, 0, "", false},
		{"a cut message", textMessage("hi")[:4], 0, "", false},
	} {
		kind, text, ok := TextDelta(tt.message)
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
		_, text, ok := TextDelta(message)
		var m pb.AgentServerMessage
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

func TestCheckpointsAreKeptAsTheyCome(t *testing.T) {
	state := encode(&pb.ConversationState{TokenDetails: &pb.ConversationTokenDetails{UsedTokens: 1234}})
	state = appendField(state, 4002, []byte("of a newer server"))
	got, ok := Checkpoint(appendField(nil, fieldCheckpoint, state))
	if !ok || !bytes.Equal(got, state) {
		t.Errorf("got %x, want %x", got, state)
	}
	if n := ContextTokens(got); n != 1234 {
		t.Errorf("%d tokens, want 1234", n)
	}
	if _, ok := Checkpoint(textMessage("hi")); ok {
		t.Error("text was taken for a checkpoint")
	}
}
