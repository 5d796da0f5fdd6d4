// Package bridgesim is Cursor's published bridge inside this process, for tests: it speaks sdk.v1 over a network in memory,
// and its model says what a script tells it. Nothing here waits for a socket, a process or a disk, so that a test with it
// can stand in a testing/synctest bubble, where an hour of a held call takes milliseconds.
//
// What it does and says is what the bridge of cursor-sdk 1.1.0 was seen to do; where a habit of that bridge surprises, the
// code says so. It shares no framing and no messages with package sdkv1, so that two readings of the contract check each
// other.
//
//	host.go      starts bridges, and what a test may ask or do
//	home.go      what outlives a bridge: its agents
//	bridge.go    one bridge: its calls
//	run.go       one run: it plays a script
//	fault.go     how a run fails, and which failures the bridge tries again by itself
//	callback.go  the calls of the client's tools
//	stream.go    what the stream of a run says
//	wire.go      framing and errors
package bridgesim
