package gateway

import (
	"context"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/store"
)

// register is a store.Sessions in memory.
type register map[store.SessionKey]store.Session

func (r register) OpenSession(_ context.Context, s store.Session) (store.Session, error) {
	if old, ok := r[s.Key]; ok {
		return old, nil
	}
	r[s.Key] = s
	return s, nil
}
func (r register) Session(_ context.Context, k store.SessionKey) (store.Session, error) {
	if s, ok := r[k]; ok {
		return s, nil
	}
	return store.Session{}, store.ErrNotFound
}
func (r register) PutSession(_ context.Context, s store.Session) error {
	r[s.Key] = s
	return nil
}
func (r register) DeleteSession(context.Context, store.SessionKey) error { return nil }

func TestAPinnedSessionKeepsItsConversationIDAcrossRestarts(t *testing.T) {
	sessions := register{}
	id := func(owner, session, opening, answer string, pin bool) string {
		t.Helper()
		fake := twoCalls()
		g := New(Config{Backends: []agent.Backend{fake}, Sessions: sessions}) // a restart each time
		defer g.Close(context.Background())
		c := newChat(t, g).user(opening)
		if answer != "" {
			c.history = append(c.history, agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: answer}}})
			c.user("go on")
		}
		c.owner, c.session = owner, session
		req := c.request()
		req.PinSession = pin
		if err := g.Turn(t.Context(), req, &recorder{}); err != nil {
			t.Fatal(err)
		}
		return fake.Runs()[0].Request.ConversationID
	}
	first := id("ann", "s1", "write a file", "", true)
	if !strings.HasPrefix(first, "agent-") || len(first) != len("agent-")+36 {
		t.Errorf("id %q", first)
	}
	if later := id("ann", "s1", "write a file", "written", true); later != first {
		t.Errorf("later in the session: %q, want %q", later, first)
	}
	for name, other := range map[string]string{
		"a title request of the same session": id("ann", "s1", "find a title", "", true),
		"another session":                     id("ann", "s2", "write a file", "", true),
		"another owner":                       id("bob", "s1", "write a file", "", true),
		"not pinned":                          id("ann", "s1", "write a file", "", false),
	} {
		if other == first {
			t.Errorf("%s has the same id", name)
		}
	}
	if len(sessions) != 4 {
		t.Errorf("%d sessions kept, want 4", len(sessions))
	}
}

// Upstream refuses everything that belongs to the pinned conversation: the turn and all later ones use a new id.
func TestARefusedConversationIsPinnedToANewID(t *testing.T) {
	for _, code := range []agent.Code{agent.RateLimited, agent.PaymentRequired, agent.ConversationLost} {
		t.Run(code.String(), func(t *testing.T) {
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				if req.Continue != nil {
					return backendtest.Turns{{backendtest.Fail(&agent.Error{Code: code})}}, nil
				}
				return backendtest.Turns{{backendtest.Say("hello"), backendtest.End("old")}}, nil
			})
			sessions := register{}
			g := New(Config{Backends: []agent.Backend{fake}, Sessions: sessions})
			defer g.Close(context.Background())
			c := newChat(t, g).user("one")
			c.session, c.pin = "s1", true
			c.must(agent.ResumeNew, "hello")
			c.user("two").must(agent.ResumeTranscript, "hello")
			first, fresh := fake.Runs()[0].Request.ConversationID, fake.Runs()[2].Request.ConversationID
			if lost := code == agent.ConversationLost; fresh == "" || (fresh == first) != lost {
				t.Errorf("the fresh run has id %q, the first had %q", fresh, first)
			}
			for _, s := range sessions {
				if s.AgentID != fresh {
					t.Errorf("the session is pinned to %q, want %q", s.AgentID, fresh)
				}
			}
		})
	}
}
