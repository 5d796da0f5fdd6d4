// Package cursorsim is a fake Cursor on the real wire: key exchange, models, and the local-agent stream over HTTP/2
// and over HTTP/1.1, so that clients can be tested without a key and without the network.
//
// What its model says comes from package script. It asks of a client everything that a real server asks (request
// context, MCP state, allow-list checks, blobs, checkpoints), checks how the client answers, and notes each
// [Violation]. It keeps a record of every run, for tests in Go ([Sim.Runs]) and over HTTP.
//
// With a seed it misbehaves a little, as real networks and newer servers do: frames are split and merged, compressed
// or late, with fields and messages that nobody knows. The same seed misbehaves the same way. Seed 0 is calm.
//
// It reads and writes Connect's framing by itself, on purpose: it shares no code with the client that it tests, so a
// misreading of the protocol shows up as a difference. Cursor's own SDK checks it in turn (conformance/cursorsdk).
//
// # Over HTTP
//
//	POST   /auth/exchange_user_api_key   an API key for an access token
//	GET    /v1/me, /v1/models            as the public API
//	POST   /agent.v1.AgentService/Run    the stream, over HTTP/2; also on Config.AgentPaths
//	POST   /chat                         the older chat endpoint; also on Config.ChatPaths
//	POST   /agent.v1.AgentService/RunSSE and /aiserver.v1.BidiService/BidiAppend: the same over HTTP/1.1
//	POST   /aiserver.v1.DashboardService/GetTeamReposOrEmptyIfNotInTeam: an empty answer, for the SDK from 1.1.0 on
//	GET    /sim/runs                     {"runs": […]}: see Run
//	DELETE /sim/runs                     forgets them, and the violations
//	GET    /sim/violations               {"violations": […]}
//	GET    /sim/state                    the seed, and how many of what
//	POST   /sim/script                   a script for the runs to come, in place of what is left of the last one
//	POST   /sim/revoke                   makes every access token invalid
//
// # Keys
//
// Any API key is good, but for those that begin like one of [badKeys].
package cursorsim
