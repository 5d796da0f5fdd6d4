package gateway

import (
	"crypto/sha256"
	"sync"

	"composer-api/internal/agent"
	"composer-api/internal/lru"
)

// A book remembers the digests of long JSON in canonical form, by its bytes: an agent sends the same calls and tools with every
// request, and to bring a file that it has written into canonical form takes several times as long as to hash it. What is in
// it follows from the JSON alone, so it is the same for all owners. It may be used concurrently; nil remembers nothing.
type book struct {
	mu    sync.Mutex // for single operations on the cache
	known *lru.Cache[Digest, Digest]
}

const (
	// longJSON is how many bytes JSON has at least that is remembered.
	longJSON = 512
	// maxRemembered bounds the digests that are remembered. One takes some 200 bytes.
	maxRemembered = 10_000
)

func newBook() *book {
	return &book{known: lru.New[Digest, Digest](lru.Limits{Count: maxRemembered})}
}

// asks is callDigest.
func (b *book) asks(c *agent.ToolCall) Digest {
	if b == nil || len(c.Arguments) < longJSON {
		return callDigest(c)
	}
	h := sha256.New()
	h.Write([]byte{'c'})
	hashString(h, c.Name)
	hashString(h, c.ID) // which may be among the arguments
	hashBytes(h, c.Arguments)
	return b.find(Digest(h.Sum(nil)), func() Digest { return callDigest(c) })
}

// schema is the digest of a tool's parameters, wherever their members stand.
func (b *book) schema(parameters []byte) Digest {
	if b == nil || len(parameters) < longJSON {
		return sha256.Sum256(canonical(parameters))
	}
	h := sha256.New()
	h.Write([]byte{'s'})
	h.Write(parameters)
	return b.find(Digest(h.Sum(nil)), func() Digest { return sha256.Sum256(canonical(parameters)) })
}

// find is what is remembered under sent, or else what compute says, which is remembered from now on.
func (b *book) find(sent Digest, compute func() Digest) Digest {
	b.mu.Lock()
	digest, ok := b.known.Get(sent)
	b.mu.Unlock()
	if ok {
		return digest
	}
	digest = compute() // not under the lock: it may be megabytes
	b.mu.Lock()
	b.known.Put(sent, digest, 0)
	b.mu.Unlock()
	return digest
}
