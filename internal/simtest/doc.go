// Package simtest simulates the whole gateway: real servers, wired as package cli wires them, a simulated upstream, a store
// and a network in memory, and people who use all of it, in one testing/synctest bubble. A seed decides everything that
// happens. It has tests only.
//
//	plan_test.go        what will happen: a seed becomes a plan, and a plan is a file
//	world_test.go       the servers, the network and the store of one run
//	upstream_test.go    what the model says, and its faults
//	exchange_test.go    what goes wrong where keys are exchanged for access tokens
//	people_test.go      what people do, one request after the other
//	history_test.go     a conversation as a person remembers it, and what they do to it
//	surfaces_test.go    how a conversation is sent on each API, and how an answer is read
//	conversations_test.go people who keep their conversations on the server
//	peers_test.go       the ways between replicas
//	sockets_test.go     people who use the Responses API over a WebSocket
//	operators_test.go   what operators and networks do meanwhile
//	laws_test.go        what must be true: read this first
//	watch_test.go       what gateways say of themselves, and the laws about that
//	story_test.go       what happened, for people
//	situations_test.go  which situations were met, and the seeds that are worth more
//	shrink_test.go      a smaller plan that still fails
//	simulate_test.go    the tests
//
// docs/simulation.md says how to use it and how to add to it.
package simtest
