package gateway

import (
	"cmp"
	"container/list"
	"context"
	"sync"
	"time"

	"composer-api/internal/agent"
)

// A Memory remembers upstream conversations under what was said in them, so that the next request of the same client
// continues one with only its new message. It forgets whenever it likes: a miss costs tokens, not correctness.
// Its methods may be called concurrently.
type Memory interface {
	// Recall returns the conversation that was remembered under key.
	Recall(ctx context.Context, key MemoryKey) (agent.Conversation, bool)
	// Remember keeps c under key, in place of what was there.
	Remember(ctx context.Context, key MemoryKey, c agent.Conversation)
	// Forget drops what is kept under key, because upstream no longer has it.
	Forget(ctx context.Context, key MemoryKey)
}

// A MemoryKey says whose conversation it is and what was said. Nothing in it is a prefix of anything: conversations
// that merely begin alike have different keys.
type MemoryKey struct {
	Owner      string
	Upstream   string // the backend that can continue it
	Model      string // agent.Model.String
	Session    string // the client's own name for the conversation, if it gives one
	Transcript Digest
}

// MemoryLimits bound a Memory. Zero fields mean the defaults.
type MemoryLimits struct {
	Count int           // conversations; 10,000
	Bytes int           // of all conversations, by their Size; 256 MiB
	Age   time.Duration // since it was last used; 6 hours
}

// NewMemory makes a Memory that lives in this process and keeps what was used last.
func NewMemory(limits MemoryLimits) Memory {
	limits.Count = cmp.Or(limits.Count, 10_000)
	limits.Bytes = cmp.Or(limits.Bytes, 256<<20)
	limits.Age = cmp.Or(limits.Age, 6*time.Hour)
	return &memory{limits: limits, byKey: map[MemoryKey]*list.Element{}, recent: list.New()}
}

type memory struct {
	limits MemoryLimits

	mu     sync.Mutex
	byKey  map[MemoryKey]*list.Element
	recent *list.List // of *remembered, used last in front
	bytes  int
}

type remembered struct {
	key          MemoryKey
	conversation agent.Conversation
	size         int
	used         time.Time
}

func (m *memory) Recall(_ context.Context, key MemoryKey) (agent.Conversation, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.makeRoom()
	e, ok := m.byKey[key]
	if !ok {
		return nil, false
	}
	r := e.Value.(*remembered)
	r.used = time.Now()
	m.recent.MoveToFront(e)
	return r.conversation, true
}

func (m *memory) Remember(_ context.Context, key MemoryKey, c agent.Conversation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(m.byKey[key])
	r := &remembered{key: key, conversation: c, size: c.Size(), used: time.Now()}
	m.byKey[key] = m.recent.PushFront(r)
	m.bytes += r.size
	m.makeRoom()
}

func (m *memory) Forget(_ context.Context, key MemoryKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(m.byKey[key])
}

// drop removes e; nil is fine. m.mu is held.
func (m *memory) drop(e *list.Element) {
	if e == nil {
		return
	}
	r := m.recent.Remove(e).(*remembered)
	delete(m.byKey, r.key)
	m.bytes -= r.size
}

// makeRoom drops what is too old or too much. m.mu is held.
func (m *memory) makeRoom() {
	for e := m.recent.Back(); e != nil; e = m.recent.Back() {
		old := time.Since(e.Value.(*remembered).used) > m.limits.Age
		if !old && m.recent.Len() <= m.limits.Count && m.bytes <= m.limits.Bytes {
			return
		}
		m.drop(e)
	}
}

// tiered puts a Memory in this process before one that is written down.
type tiered struct{ near, far Memory }

func (t tiered) Recall(ctx context.Context, key MemoryKey) (agent.Conversation, bool) {
	if c, ok := t.near.Recall(ctx, key); ok {
		return c, true
	}
	c, ok := t.far.Recall(ctx, key)
	if ok {
		t.near.Remember(ctx, key, c)
	}
	return c, ok
}

func (t tiered) Remember(ctx context.Context, key MemoryKey, c agent.Conversation) {
	t.near.Remember(ctx, key, c)
	t.far.Remember(ctx, key, c)
}

func (t tiered) Forget(ctx context.Context, key MemoryKey) {
	t.near.Forget(ctx, key)
	t.far.Forget(ctx, key)
}
