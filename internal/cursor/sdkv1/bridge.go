package sdkv1

import "context"

// A Home is where agents are kept: a bridge that is started in it finds those that an earlier one has left there, by
// [Client.ResumeAgent]. Two bridges may run in one home, as long as an agent has a run in one of them only. Its methods may
// be called concurrently.
//
// bridgechild has the one of the real bridge, bridgesim a simulated one. sdkbridge knows only
// these interfaces.
type Home interface {
	// Start runs a bridge and waits until it is ready. handle runs the client's tools for the bridge's agents, see
	// CallHandler. ctx bounds the start alone, and a start that hangs ends by itself. The caller closes the bridge.
	Start(ctx context.Context, handle CallHandler) (Bridge, error)
	// Workspace is the empty folder that the agents work in.
	Workspace() string
	// Close deletes everything that was said. The caller closes the bridges before.
	Close() error
}

// A Bridge is a running bridge. Its methods may be called concurrently.
type Bridge interface {
	// Client calls the bridge.
	Client() *Client
	// Exited is closed when the bridge is gone, whatever the reason.
	Exited() <-chan struct{}
	// Memory is how much of the machine's memory it takes, in bytes; 0 when that can't be known.
	Memory() int64
	// Close ends the bridge and waits until it is gone. Cancel its runs before: it would wait for them. Close must be
	// called once, also after the bridge has ended by itself.
	Close() error
}
