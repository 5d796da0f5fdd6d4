package agentwire

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
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

func TestParseFindsText(t *testing.T) {
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
		{"two updates, which generated code merges", append(textMessage("h"), textMessage("i")...), 0, "", false},
	} {
		m := ServerMessage{Kind: agent.Text, Checkpoint: []byte("of the message before"), Other: &pb.AgentServerMessage{}}
		err := m.Parse(tt.message)
		if err != nil || m.Kind != tt.kind || m.Kind != 0 && string(m.Text) != tt.text || (m.Other == nil) != tt.ok || m.Checkpoint != nil {
			t.Errorf("%s: got %+v, %v", tt.name, m, err)
		}
	}
	var format *connectwire.FormatError
	if err := new(ServerMessage).Parse(textMessage("hi")[:4]); !errors.As(err, &format) {
		t.Errorf("a cut message: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(textMessage("hi"))
	f.Add(thinkingMessage("hm"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		var parsed ServerMessage
		err := parsed.Parse(message)
		forms := 0
		for _, set := range []bool{parsed.Kind != 0, parsed.Checkpoint != nil, parsed.Other != nil} {
			if set {
				forms++
			}
		}
		if (forms == 1) != (err == nil) || forms > 1 {
			t.Errorf("%+v, %v", parsed, err)
		}
		ok, text := parsed.Kind != 0, parsed.Text
		var m pb.AgentServerMessage
		if proto.Unmarshal(message, &m) != nil {
			return
		}
		u := m.GetInteractionUpdate()
		want := u.GetTextDelta().GetText() + u.GetThinkingDelta().GetText()
		// Both readings must agree on what upstream sends: a message with one update. (Where a field is repeated they
		// may differ: generated code merges, and the walk leaves it to generated code.)
		if canonical := encode(&m); ok && bytes.Equal(canonical, message) && len(m.ProtoReflect().GetUnknown()) == 0 && string(text) != want {
			t.Errorf("the walk says %q, generated code %q", text, want)
		}
	})
}

func TestCheckpointsAreKeptAsTheyCome(t *testing.T) {
	state := encode(&pb.ConversationState{TokenDetails: &pb.ConversationTokenDetails{UsedTokens: 1234}})
	state = appendField(state, 4002, []byte("of a newer server"))
	var got, empty ServerMessage
	err := got.Parse(appendField(nil, fieldCheckpoint, state))
	if err != nil || !bytes.Equal(got.Checkpoint, state) || got.Other != nil {
		t.Errorf("got %+v, %v, want %x", got, err, state)
	}
	if n := ContextTokens(got.Checkpoint); n != 1234 {
		t.Errorf("%d tokens, want 1234", n)
	}
	if err := empty.Parse(appendField(nil, fieldCheckpoint, nil)); err != nil || empty.Checkpoint == nil {
		t.Errorf("an empty checkpoint: %+v, %v", empty, err)
	}
}
