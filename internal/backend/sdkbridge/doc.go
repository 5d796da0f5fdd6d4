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
// A bridge is a process with one thread. A pool is the bridges of all owners, or of one, with the agents that they share:
// agents lie in the pool's home, so they outlive the bridge that has made them. Bridges come and go: one that has become
// large or stopped answering is replaced, a second one is started when the first is busy, and one that nobody needs ends.
//
//	backend.go       the way in: start a run, on a new agent or on one that is kept
//	agents.go        create, resume and delete agents
//	pool.go          which bridge takes a run, and when one is started
//	worker.go        one bridge
//	upkeep.go        what is done from time to time: health, memory, age
//	run.go           a run, seen by the gateway
//	again.go         when a run begins, and when it begins again on another agent
//	calls.go         the calls of a run that wait for the client
//	adapt.go         a client's tools that change meanwhile
//	reader.go        a run, seen by the bridge's stream
//	conversation.go  what is needed to go on with an agent
//	errors.go        what the bridge's errors mean
//
// The locks, from the outside in: Backend.mu, then nothing; run.mu and attempt.mu are each
// taken alone. None is held while a bridge is asked something.
//
//	lifetime    begins with                            ends with
//	pool        its first run, or Warm                 dropIfEmpty, or the backend's Close
//	worker      startFor                               retire, when its last run is over; or its death
//	agent       create                                 remove: it is not to be continued, too old, or one too many
//	attempt     begin                                  its result, an error, end or abandon
//	run         Start                                  the gateway's Close
package sdkbridge
