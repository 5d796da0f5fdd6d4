package gateway

import (
	"cmp"
	"context"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/lru"
)

// A Memory remembers upstream conversations by their content, so that the next request of the same client continues one
// with only its new message. It may forget at any time: a miss costs tokens, not correctness. Its methods may be called
// concurrently. They have no errors; a memory that fails behaves as if it had forgotten.
type Memory interface {
	// Recall returns the conversation that was remembered under key.
	Recall(ctx context.Context, key MemoryKey) (agent.Conversation, bool)
	// Remember keeps c under key, in place of what was there.
	Remember(ctx context.Context, key MemoryKey, c agent.Conversation)
	// Forget drops what is kept under key, because upstream no longer has it.
	Forget(ctx context.Context, key MemoryKey)
}

// A MemoryKey says whose conversation it is and what its transcript is. It is compared as a whole: conversations that
// merely begin alike have different keys.
//
// It is used as a map's key in memory, and through hash in the store.
type MemoryKey struct {
	// Owner keeps a conversation from being found under another key.
	Owner    string
	Upstream string // the backend that can continue it
	Model    string // agent.Model.String
	Session  string // the client's own name for the conversation, if it gives one
	// Transcript is the digest of everything that was said, the answer included.
	Transcript Digest
}

// memoryLimits bound a Memory. Zero fields mean the defaults.
type memoryLimits struct {
	Count int           // conversations; 10,000
	Bytes int           // of all conversations, by their Size; 256 MiB
	Age   time.Duration // since it was last used; 6 hours
}

// newMemory makes a Memory in this process that keeps what was used last. Past a limit, what
// was used longest ago goes first.
func newMemory(limits memoryLimits) Memory {
	limits.Count = cmp.Or(limits.Count, 10_000)
	limits.Bytes = cmp.Or(limits.Bytes, 256<<20)
	limits.Age = cmp.Or(limits.Age, 6*time.Hour)
	return &memory{kept: lru.New[MemoryKey, agent.Conversation](lru.Limits{Count: limits.Count, Bytes: limits.Bytes, Age: limits.Age})}
}

// memory is a Memory in this process. mu protects the cache, which has no lock of its own. The
// lock is held for single map operations, never while a conversation is encoded or sent.
type memory struct {
	mu   sync.Mutex
	kept *lru.Cache[MemoryKey, agent.Conversation]
}

// Recall implements Memory. It counts as a use, which keeps the conversation longer.
func (m *memory) Recall(_ context.Context, key MemoryKey) (agent.Conversation, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.Get(key)
}

// Remember implements Memory. One that is larger than all the room there is isn't kept. Size is
// asked before the lock is taken, because it is the backend's code.
func (m *memory) Remember(_ context.Context, key MemoryKey, c agent.Conversation) {
	size := c.Size()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept.Put(key, c, size)
}

// Forget implements Memory.
func (m *memory) Forget(_ context.Context, key MemoryKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept.Delete(key)
}

// storeTimeout bounds each access to the store during a turn. A store that hangs costs a turn this much, not its answer,
// and doesn't hold up the shutdown.
const storeTimeout = 2 * time.Second

// tiered is two Memories: near is in this process and asked first, far is in the store.
//
//	           near              far
//	Recall     first             when near has none; then kept in near
//	Remember   at once           before the turn ends
//	Forget     both
type tiered struct{ near, far Memory }

// Recall implements Memory. What far has is also kept in near. A store that is slow costs the
// turn storeTimeout, and then counts as one that has nothing.
func (t tiered) Recall(ctx context.Context, key MemoryKey) (agent.Conversation, bool) {
	if c, ok := t.near.Recall(ctx, key); ok {
		return c, true
	}
	short, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	c, ok := t.far.Recall(short, key)
	if ok {
		t.near.Remember(ctx, key, c)
	}
	return c, ok
}

// Remember implements Memory. It returns when far has it, so that the next request finds it, whichever replica it reaches.
func (t tiered) Remember(ctx context.Context, key MemoryKey, c agent.Conversation) {
	t.near.Remember(ctx, key, c)
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t.far.Remember(ctx, key, c)
}

// Forget implements Memory.
func (t tiered) Forget(ctx context.Context, key MemoryKey) {
	t.near.Forget(ctx, key)
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t.far.Forget(ctx, key)
}
