package gateway

import (
	"slices"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// What might have become a stop text goes to the client before the call that follows it.
func TestTextThatWasHeldBackGoesBeforeTheCall(t *testing.T) {
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say("one ST"), backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()}}, nil
	})
	c := newChat(t, newGateway(t, fake)).user("count")
	req := c.request()
	req.Stop = []string{"STOP"}
	var order []string
	err := c.g.Turn(t.Context(), req, &recorder{onEvent: func(e *agent.Event) error {
		switch e.Kind {
		case agent.Text:
			order = append(order, string(e.Text))
		case agent.Call:
			order = append(order, e.Call.ID)
		}
		return nil
	}})
	if want := []string{"one ", "ST", "call_1"}; err != nil || !slices.Equal(order, want) {
		t.Errorf("the client gets %q, want %q; %v", order, want, err)
	}
}
