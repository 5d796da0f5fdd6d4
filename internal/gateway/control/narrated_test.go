package control_test

import (
	"slices"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// Text that might have become a call is given when it gets too long to be one, and nothing of it is lost.
func TestALongTextThatBeginsLikeACallIsGiven(t *testing.T) {
	text := "{" + strings.Repeat("no call. ", 10_000)
	for _, size := range []int{1000, 1 << 20} {
		turn, outcome := answerTo(t, backendtest.Request("hello"), text, "", size)
		if turn.Text != text {
			t.Errorf("in pieces of %d the client gets %d of %d bytes: %.200s", size, len(turn.Text), len(text), outcome)
		}
	}
}

// A tool without a schema takes any arguments.
func TestACallWithoutASchemaIsToldOf(t *testing.T) {
	req := backendtest.Request("hello")
	req.Tools = []agent.Tool{{Name: "look"}}
	if turn, outcome := answerTo(t, req, "look()", "I look.", 1<<20); !slices.Equal(turn.Done.Repairs, []agent.Repair{agent.RepairToolChoice}) {
		t.Error(outcome)
	}
}
