package gateway

import (
	"testing"

	"composer-api/internal/agent"
)

// A sized conversation is as large as it says.
type sized struct {
	agent.Conversation
	bytes int
}

func (s sized) Size() int { return s.bytes }

// Without a setting, what is remembered is bounded in bytes, and not by number alone.
func TestMemoryIsBoundedInBytes(t *testing.T) {
	m := newMemory(memoryLimits{})
	for _, owner := range []string{"ann", "bob", "cid"} {
		m.Remember(t.Context(), MemoryKey{Owner: owner}, sized{bytes: 100 << 20})
	}
	for owner, want := range map[string]bool{"ann": false, "bob": true, "cid": true} {
		if _, ok := m.Recall(t.Context(), MemoryKey{Owner: owner}); ok != want {
			t.Errorf("%s's is remembered: %v", owner, ok)
		}
	}
}
