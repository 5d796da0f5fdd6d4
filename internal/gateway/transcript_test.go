package gateway

import (
	"slices"
	"testing"

	"composer-api/internal/agent"
)

// Messages in short: u a user's, s the system's, a an answer, A one with a call, r a call's result.
func TestWhereTheLastGroupBegins(t *testing.T) {
	for spelled, want := range map[string]int{
		"":         0,
		"u":        0, // nothing was said yet
		"su":       0,
		"ua":       1,
		"uau":      1,
		"uaus":     1,
		"uAr":      1,
		"uArr":     1,
		"uAru":     1,
		"uArAr":    1,
		"uAraAru":  1,
		"uauAr":    3,
		"uArauAru": 5,
		"ur":       1, // a result without its call
		"uru":      1,
		"Ar":       0, // a client has left the user's words out
		"Aru":      0,
		"a":        0,
		"r":        0,
	} {
		if got := lastGroup(spell(spelled)); got != want {
			t.Errorf("%q: the last group begins at %d, want %d", spelled, got, want)
		}
	}
}

func TestWhichCallsARequestMayBringResultsFor(t *testing.T) {
	for spelled, want := range map[string][]string{
		"u":     nil,
		"uA":    nil, // nothing came after it
		"uAr":   {"1", "1"},
		"uAu":   {"1"}, // an interrupted client's
		"uAru":  {"1", "1"},
		"uArAr": {"3", "3"},
		"uau":   nil,
		"Ar":    {"0", "0"},
	} {
		if got := waitedFor(spell(spelled)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", spelled, got, want)
		}
	}
}

// spell makes the messages that the letters stand for. A call has its message's index for an id, and a result answers the last call.
func spell(letters string) []agent.Message {
	var messages []agent.Message
	last := "none"
	for i, letter := range letters {
		m := agent.Message{}
		switch letter {
		case 'u':
			m.Role = agent.User
		case 's':
			m.Role = agent.System
		case 'a':
			m.Role = agent.Assistant
		case 'A':
			last = string(rune('0' + i))
			m.Role, m.Calls = agent.Assistant, []agent.ToolCall{{ID: last}}
		case 'r':
			m.Role, m.CallID = agent.ToolRole, last
		}
		messages = append(messages, m)
	}
	return messages
}
