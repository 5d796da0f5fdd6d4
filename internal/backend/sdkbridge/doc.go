// Package sdkbridge is the backend that drives Cursor's agents through the bridge that Cursor publishes (sdk.v1). It
// needs nothing but a Cursor key: no private address is touched, and a change on Cursor's side arrives as a new version
// of the bridge.
//
// An agent of the bridge is a conversation: it is created for a request's tools and model, is sent one message a run,
// and keeps what was said. A run of ours is one Send. Its stream is read by one goroutine for the run's whole life,
// because a second reader would get neither deltas nor the result.
//
// Parking is a held callback. When the model calls a tool of the client's, the bridge calls our callback server and
// waits; the call is given to the client, and the callback is answered when the client's result comes. The bridge sends
// heartbeats upstream meanwhile. A run that is given up is cancelled before its callbacks are released: whatever they
// answered would reach the model, which would go on at the user's cost.
//
//	backend.go       start a run: on a new agent, or on one that is kept
//	worker.go        one bridge process with its agents
//	run.go           a run, seen by the gateway
//	reader.go        a run, seen by the bridge's stream
//	conversation.go  what is needed to go on with an agent
//	errors.go        what the bridge's errors mean
//	usage.go         what the turns of a run report
package sdkbridge
