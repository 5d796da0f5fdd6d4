// Package harness is what the conformance tests share: it builds composer-api, starts the gateway and the simulator as
// real processes on free loopback ports, runs real clients against them, and reads what the simulator recorded.
//
// Nothing here imports the gateway's own code. What the tests know of it is what every user can see: flags, variables,
// HTTP.
//
// A [Case] is the usual form of a test: a txtar file that says why, what the model says, what the client does, and
// what came out at both ends. A test that needs more than that uses [StartSim], [StartGateway] and [RunNode].
//
// Every process has a home and a working folder of its own and an environment in which nothing of this machine's is
// left, so that no configuration leaks in. Whatever doesn't answer is given up after a limit: nothing waits for ever,
// and nothing sleeps for a fixed time.
package harness
