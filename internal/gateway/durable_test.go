package gateway

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// The conversations of two models or two sessions may have the same words.
func TestADurableKeyNamesAllThatMakesAConversation(t *testing.T) {
	seen := map[string]MemoryKey{}
	for _, key := range []MemoryKey{
		{}, {Model: "m"}, {Session: "m"}, {Model: "m", Session: "s"}, {Model: "ms"}, {Model: "m", Session: "t"}, {Model: "m", Session: "s", Transcript: Digest{1}},
	} {
		hash := string(key.hash())
		if other, ok := seen[hash]; ok {
			t.Errorf("%+v and %+v have the same hash", other, key)
		}
		seen[hash] = key
	}
}

// hanging is a store on the other side of a broken network: it answers when the caller gives up.
type hanging struct{}

func (hanging) Recall(ctx context.Context, _ MemoryKey) (agent.Conversation, bool) {
	<-ctx.Done()
	return nil, false
}
func (hanging) Remember(ctx context.Context, _ MemoryKey, _ agent.Conversation) { <-ctx.Done() }
func (hanging) Forget(ctx context.Context, _ MemoryKey)                         { <-ctx.Done() }
func (hanging) OpenSession(ctx context.Context, s store.Session) (store.Session, error) {
	<-ctx.Done()
	return store.Session{}, ctx.Err()
}
func (hanging) Session(ctx context.Context, _ store.SessionKey) (store.Session, error) {
	<-ctx.Done()
	return store.Session{}, ctx.Err()
}
func (hanging) PutSession(ctx context.Context, _ store.Session) error {
	<-ctx.Done()
	return ctx.Err()
}
func (hanging) DeleteSession(ctx context.Context, _ store.SessionKey) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAStoreThatHangsDoesNotHoldUpTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := remembering()
		g := New(Config{Backends: []agent.Backend{fake}, Durable: hanging{}, Sessions: hanging{}})
		defer g.Close(context.Background())
		c := newChat(t, g).user("one")
		c.session = "s1"
		c.history = append(c.history, agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: "yes"}}})
		req := c.user("two").request()
		req.Durable, req.PinSession = true, true
		began := time.Now()
		var r recorder
		if err := g.Turn(t.Context(), req, &r); err != nil || r.turn.Text != "3 new" {
			t.Errorf("%q, %v", r.turn.Text, err)
		}
		if took := time.Since(began); took != 3*storeTimeout { // the session, recall, remember
			t.Errorf("took %v", took)
		}
	})
}
