package gateway

import (
	"context"
	"sync"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// shelf is a store.Conversations in memory.
type shelf struct {
	mu   sync.Mutex
	rows map[string]store.Conversation
	err  error
}

func (s *shelf) PutConversation(_ context.Context, c store.Conversation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.rows[c.Owner+c.Backend+string(c.Hash)] = c
	}
	return s.err
}

func (s *shelf) Conversation(_ context.Context, owner, backend string, hash []byte) (store.Conversation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.rows[owner+backend+string(hash)]; ok {
		return c, s.err
	}
	return store.Conversation{}, store.ErrNotFound
}

func (s *shelf) DeleteConversation(_ context.Context, owner, backend string, hash []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, owner+backend+string(hash))
	return s.err
}

func TestDurableMemorySurvivesARestartAndKeepsOnlyWhatItMay(t *testing.T) {
	kept := &shelf{rows: map[string]store.Conversation{}}
	fake := remembering()
	restart := func() *Gateway {
		g := New(Config{Backends: []agent.Backend{fake}, Durable: NewDurableMemory(DurableConfig{Store: kept, Backends: []agent.Backend{fake}})})
		t.Cleanup(func() { g.Close(context.Background()) })
		return g
	}
	turn := func(c *chat, durable bool) (agent.Resume, string) {
		t.Helper()
		req := c.request()
		req.Durable = durable
		var r recorder
		if err := c.g.Turn(t.Context(), req, &r); err != nil {
			t.Fatal(err)
		}
		c.history = append(c.history, agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: r.turn.Text}}})
		return r.accepted[0].Resume, r.turn.Text
	}

	private := newChat(t, restart()).user("one")
	turn(private, false)
	if len(kept.rows) != 0 {
		t.Fatal("a request that must not be written down was")
	}
	private.g = restart()
	if resume, _ := turn(private.user("two"), false); resume != agent.ResumeTranscript {
		t.Errorf("private after a restart: %v", resume)
	}

	stored := newChat(t, restart()).user("eins")
	turn(stored, true)
	stored.g = restart()
	if resume, text := turn(stored.user("zwei"), true); resume != agent.ResumeMemory || text != "1 new from agent-3" {
		t.Errorf("stored after a restart: %v, %q", resume, text)
	}

	kept.err = store.ErrUnavailable
	stored.g = restart()
	if resume, _ := turn(stored.user("drei"), true); resume != agent.ResumeTranscript {
		t.Errorf("with the store down: %v", resume)
	}
}
