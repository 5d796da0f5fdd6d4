package gateway

import (
	"crypto/sha256"
	"sync"

	"composer-api/internal/agent"
	"composer-api/internal/lru"
)

// A digestCache remembers the digests of long JSON in canonical form, by its bytes: an agent sends the same calls and tools with
// every request, and to bring a file that it has written into canonical form takes several times as long as to hash it. What is in
// it follows from the JSON alone, so it is the same for all owners. It may be used concurrently; nil remembers nothing.
type digestCache struct {
	mu sync.Mutex // for single operations on the cache, never while a digest is computed
	// known maps the digest of the bytes to that of the canonical form.
	known *lru.Cache[Digest, Digest]
}

const (
	// longJSON is how many bytes JSON has at least that is remembered.
	longJSON = 512
	// maxRemembered bounds the digests that are remembered. One takes some 200 bytes.
	maxRemembered = 10_000
)

// newDigestCache makes an empty one. It has nothing to close.
func newDigestCache() *digestCache {
	return &digestCache{known: lru.New[Digest, Digest](lru.Limits{Count: maxRemembered})}
}

// call is callDigest.
func (dc *digestCache) call(c *agent.ToolCall) Digest {
	if dc == nil || len(c.Arguments) < longJSON {
		return callDigest(c)
	}
	h := sha256.New()
	h.Write([]byte{'c'})
	hashString(h, c.Name)
	hashString(h, c.ID) // which may be among the arguments
	hashBytes(h, c.Arguments)
	return dc.find(Digest(h.Sum(nil)), func() Digest { return callDigest(c) })
}

// schema is schemaDigest.
func (dc *digestCache) schema(parameters []byte) Digest {
	if dc == nil || len(parameters) < longJSON {
		return schemaDigest(parameters)
	}
	h := sha256.New()
	h.Write([]byte{'s'})
	h.Write(parameters)
	return dc.find(Digest(h.Sum(nil)), func() Digest { return schemaDigest(parameters) })
}

// find is what is remembered under sent, or else what compute says, which is remembered from now on.
func (dc *digestCache) find(sent Digest, compute func() Digest) Digest {
	dc.mu.Lock()
	digest, ok := dc.known.Get(sent)
	dc.mu.Unlock()
	if ok {
		return digest
	}
	digest = compute() // not under the lock: it may be megabytes
	dc.mu.Lock()
	dc.known.Put(sent, digest, 0)
	dc.mu.Unlock()
	return digest
}

// schemaDigest is the digest of a tool's parameters, wherever their members stand.
func schemaDigest(parameters []byte) Digest { return sha256.Sum256(canonical(parameters)) }
