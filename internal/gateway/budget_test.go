package gateway

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/gateway/control"
)

// thrifty is a gateway with budgets, whose model answers "ok" for a dollar: 400,000 tokens of output.
func thrifty(t *testing.T, budgets control.Config) *Gateway {
	dollar := agent.Usage{Output: 400_000}
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say("ok"), backendtest.Spend(dollar), backendtest.End("")}}, nil
	})
	g := New(Config{Backends: []agent.Backend{fake}, Controls: budgets})
	t.Cleanup(func() { g.Close(t.Context()) })
	return g
}

// wantQuota checks whether the next turn is refused because a budget is spent.
func (c *chat) wantQuota(t *testing.T, want bool) {
	t.Helper()
	r, err := c.send()
	var refused *agent.Error
	if errors.As(err, &refused) != want || want && (refused.Code != agent.QuotaExceeded || !strings.Contains(refused.Message, "$")) {
		t.Errorf("got %v after %+v, want refused: %v", err, r.accepted, want)
	}
}

func TestAKeyMayGoOnTomorrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := thrifty(t, control.Config{Key: control.Budget{CostUSD: 2}})
		for range 2 {
			newChat(t, g).user("hi").wantQuota(t, false)
		}
		newChat(t, g).user("hi").wantQuota(t, true)
		bob := newChat(t, g).user("hi")
		bob.owner = "bob"
		bob.wantQuota(t, false)
		time.Sleep(24 * time.Hour)
		newChat(t, g).user("hi").wantQuota(t, false)
	})
}

func TestConversationsThatBeginAlikeAreNotOne(t *testing.T) {
	g := thrifty(t, control.Config{Conversation: control.Budget{CostUSD: 2}})
	first, second := newChat(t, g).user("hi"), newChat(t, g).user("hi")
	first.wantQuota(t, false)
	second.wantQuota(t, false)
	first.user("more").wantQuota(t, false)
	first.user("even more").wantQuota(t, true)
	second.user("something else").wantQuota(t, false)
}

func TestASessionIsOneConversation(t *testing.T) {
	g := thrifty(t, control.Config{Conversation: control.Budget{CostUSD: 2}})
	for _, want := range []bool{false, false, true} {
		c := newChat(t, g).user("compacted")
		c.session = "s"
		c.wantQuota(t, want)
	}
	newChat(t, g).user("compacted").wantQuota(t, false)
}

func TestAFailureIsChargedWhatIsKnownOfIt(t *testing.T) {
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say("no JSON"), backendtest.Spend(agent.Usage{Output: 400_000}), backendtest.End("c")}}, nil
	})
	g := New(Config{Backends: []agent.Backend{fake}, Controls: control.Config{Key: control.Budget{CostUSD: 2}}})
	defer g.Close(t.Context())
	req := newChat(t, g).user("hi").request()
	req.Format.Kind = agent.JSONObject
	if err := g.Turn(t.Context(), req, &recorder{}); agent.CodeOf(err) != agent.InvalidJSONOutput {
		t.Fatalf("got %v", err)
	}
	newChat(t, g).user("hi").wantQuota(t, true)
}
