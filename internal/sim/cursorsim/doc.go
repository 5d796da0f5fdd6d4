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
//
// # Files
//
//	sim.go, serve.go      Sim and its settings; its listeners
//	auth.go, models.go    keys, tokens, and the answers of the public API
//	admin.go              the routes below /sim
//
//	stream.go             one stream of the local-agent endpoint, from its request to its end
//	bidi.go               the same over HTTP/1.1
//	run.go                what a run waits for; play.go the steps that it plays; inbox.go what the client has sent
//	updates.go            text, thinking and usage; mirror.go what is reported of calls
//	calls.go, builtin.go  calls of the client's tools and of Cursor's own; exec.go what becomes of a call
//	context.go, query.go  questions to the client, and to its user
//	blobs.go              blobs; conversation.go checkpoints, and what is kept between two runs
//	wire.go               frames as they go out, with faults; frame.go their encoding
//
//	check.go              what is asked of a client; unknown.go what it says that nobody knows
//	journal.go            records of runs, and violations; notes.go how a stream writes to its own
//
//	chat.go               the older chat endpoint: chat_request.go its requests, chat_transcript.go and chat_style.go how
//	                      a conversation and its answer are put into words there
package cursorsim
