package bridgesim

import (
	"context"
	"sync"

	"composer-api/internal/cursor/sdkv1"
)

// A home keeps agents, as the disk does for the real bridge. Several bridges may share one, one after
// the other or at once. mu guards the map, closed, and every bridgeAgent. Closing a home ends no bridge.
type home struct {
	// host keeps the record. It outlives its homes.
	host *Host

	mu sync.Mutex
	// By id. closed refuses bridges that would start on this home.
	agents map[string]*bridgeAgent
	closed bool
}

// A bridgeAgent is an agent as the disk keeps it. It is guarded by home.mu.
//
// A mark that stays makes the agent useless for all later bridges: the client has to begin again
// from the transcript.
type bridgeAgent struct {
	// id is the agent's, which the client keeps to resume it.
	id   string
	runs int // that have ended well
	// running is set while a run is on. It stays set when the bridge is killed in the middle, as on the real one's disk.
	running bool
}

// Workspace implements sdkv1.Home.
func (*home) Workspace() string { return "/workspace" }

// Start implements sdkv1.Home. It takes as long as Host.DelayStarts says. A bridge appears in
// Host.Bridges only once it is connected. The caller must close it.
func (h *home) Start(ctx context.Context, handle sdkv1.CallHandler) (sdkv1.Bridge, error) {
	// Before the home is looked at: a start may take long, and the home may be closed meanwhile.
	if err := h.host.admit(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if closed {
		return nil, errNoHome
	}
	b := newBridge(h, handle)
	if err := b.connect(ctx); err != nil {
		b.Close()
		return nil, err
	}
	h.host.mu.Lock()
	defer h.host.mu.Unlock()
	h.host.bridges = append(h.host.bridges, b)
	return b, nil
}

// Close implements sdkv1.Home. Agents are not removed; a test may look at them after the end. A
// second Close is without effect.
func (h *home) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.host.mu.Lock()
		defer h.host.mu.Unlock()
		h.host.homes--
	}
	return nil
}

// find is the agent with an id; nil when there is none.
func (h *home) find(id string) *bridgeAgent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.agents[id]
}
