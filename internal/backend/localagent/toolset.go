package localagent

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"

	"composer-api/internal/agent"
	"composer-api/internal/backend/localagent/toolmap"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/lru"
)

// A toolset is what upstream is told about a client's tools, and how built-in tools are mapped to them. It is immutable
// and shared by runs.
//
// A run keeps the one it began with, or that Adapt has given it, also after the cache has dropped it.
type toolset struct {
	*agentwire.Toolset
	// mapper finds the client's tool for one of Cursor's own.
	mapper *toolmap.Mapper
}

// memory is about how many bytes the set keeps: the tools are in the run request, twice in the request context and once
// in the state of the MCP servers, and the mapper has a copy of their schemas.
func (s *toolset) memory() int { return 5 * s.Size() }

// newToolset encodes the tools. The result shares no memory with them. Only names and schemas are kept for the mapper, which
// looks at nothing else.
func newToolset(tools []agent.Tool) *toolset {
	wire := agentwire.NewToolset(tools)
	var owned []agent.Tool // the request's own may be part of a large body, which must not be kept
	for i, t := range tools {
		owned = append(owned, agent.Tool{Name: wire.Names()[i], Parameters: slices.Clone(t.Parameters)})
	}
	return &toolset{wire, toolmap.New(owned)}
}

// Bounds of the toolsets that are kept for the next request. Runs keep theirs as long as they live.
const (
	maxToolsets     = 256
	maxToolsetBytes = 64 << 20
)

// toolsets finds the toolset of a request's tools: agents send the same tools with every
// request, often a hundred of them. It is safe for concurrent use. mu guards kept.
type toolsets struct {
	mu sync.Mutex
	// kept is by the digest of the tools as they came.
	kept *lru.Cache[[sha256.Size]byte, *toolset]
}

// newToolsets makes an empty cache.
func newToolsets() *toolsets {
	return &toolsets{kept: lru.New[[sha256.Size]byte, *toolset](lru.Limits{Count: maxToolsets, Bytes: maxToolsetBytes})}
}

// of returns the toolset of the tools, which may be shared with other runs.
func (t *toolsets) of(tools []agent.Tool) *toolset {
	hash := hashTools(tools)
	if set := t.find(hash); set != nil {
		return set
	}
	// Encoding is not done under the lock: tools may be megabytes. If two requests encode the same tools at once, the
	// one that comes second takes what the first has kept.
	set := newToolset(tools)
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.kept.Get(hash); ok {
		return known
	}
	t.kept.Put(hash, set, set.memory())
	return set
}

// find returns the toolset that is kept under the hash; nil when there is none.
func (t *toolsets) find(hash [sha256.Size]byte) *toolset {
	t.mu.Lock()
	defer t.mu.Unlock()
	set, _ := t.kept.Get(hash)
	return set
}

// hashTools is the identity of a list of tools as upstream sees it: each field with its length
// before it, so that no two lists give the same bytes. The order counts here, unlike in the
// gateway's digest: another order is another encoding.
func hashTools(tools []agent.Tool) [sha256.Size]byte {
	h := sha256.New()
	var size [8]byte
	add := func(b []byte) {
		binary.LittleEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	for i := range tools {
		add([]byte(tools[i].Name))
		add([]byte(tools[i].Description))
		add(tools[i].Parameters)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
