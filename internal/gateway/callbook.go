package gateway

import (
	"crypto/sha256"
	"sync"

	"composer-api/internal/agent"
	"composer-api/internal/lru"
)

// A callBook remembers what long calls ask for (callDigest), by their bytes: an agent sends the same calls with every request, and
// to bring a file that it has written into canonical form takes several times as long as to hash it. What is in it follows
// from the call alone, so it is the same for all owners. It may be used concurrently; nil remembers nothing.
type callBook struct {
	mu    sync.Mutex // for single operations on the cache
	known *lru.Cache[Digest, Digest]
}

const (
	// longCall is how many bytes of arguments a call has at least that is remembered.
	longCall = 512
	// maxCalls bounds the calls that are remembered. One takes some 200 bytes.
	maxCalls = 10_000
)

func newCallBook() *callBook {
	return &callBook{known: lru.New[Digest, Digest](lru.Limits{Count: maxCalls})}
}

// asks is callDigest.
func (b *callBook) asks(c *agent.ToolCall) Digest {
	if b == nil || len(c.Arguments) < longCall {
		return callDigest(c)
	}
	h := sha256.New()
	hashString(h, c.Name)
	hashString(h, c.ID) // which may be among the arguments
	hashBytes(h, c.Arguments)
	sent := Digest(h.Sum(nil))
	b.mu.Lock()
	asked, ok := b.known.Get(sent)
	b.mu.Unlock()
	if ok {
		return asked
	}
	asked = callDigest(c)
	b.mu.Lock()
	b.known.Put(sent, asked, 0)
	b.mu.Unlock()
	return asked
}
