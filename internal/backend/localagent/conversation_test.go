package localagent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
)

func someConversation() *conversation {
	return newConversation("agent-1", "00ff", []byte{1, 2, 3}, map[string][]byte{"\x01\x02": []byte("one"), "b": {}}, false)
}

func TestConversationComesBackFromItsBytes(t *testing.T) {
	c := someConversation()
	data, err := c.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	back, err := new(Backend).Restore(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back, cmp.AllowUnexported(conversation{})); diff != "" {
		t.Error(diff)
	}
	clear(data)
	if back.(*conversation).checkpoint[0] != 1 {
		t.Error("the conversation shares memory with the bytes it was read from")
	}
}

func TestForeignBytesAreNoConversation(t *testing.T) {
	data, _ := someConversation().MarshalBinary()
	for name, foreign := range map[string][]byte{
		"nothing":         nil,
		"something else":  []byte("something else"),
		"another version": append([]byte("composer-api localagent 2\n"), data[len(conversationMagic):]...),
		"cut":             data[:len(data)-1],
		"nothing in it":   []byte(conversationMagic),
	} {
		if _, err := new(Backend).Restore(foreign); agent.CodeOf(err) != agent.ConversationLost {
			t.Errorf("%s: got %v, want conversation_lost", name, err)
		}
	}
}

func FuzzConversation(f *testing.F) {
	data, _ := someConversation().MarshalBinary()
	f.Add(data)
	f.Add([]byte(conversationMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := unmarshalConversation(data)
		if err != nil {
			return
		}
		again, _ := c.MarshalBinary()
		back, err := unmarshalConversation(again)
		if err != nil {
			t.Fatalf("its own bytes: %v", err)
		}
		if diff := cmp.Diff(c, back, cmp.AllowUnexported(conversation{})); diff != "" {
			t.Error(diff)
		}
	})
}
