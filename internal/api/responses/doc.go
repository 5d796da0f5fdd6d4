// Package responses is the Responses API as a surface: it decodes a request into an [agent.Request] and encodes
// a turn's events as a response object or as a stream of the API's own events.
//
// It has no state between requests. A request that continues a stored response is decoded here, but the earlier
// items are passed in by the caller ([Request.Turn]); package service stores them.
//
//	body ─► Decode ─► Request ─► Turn(history) ─► agent.Request
//	events ─► Encoder ─► Response ─► (watcher) ─► stream of events
//
// The parts:
//
//   - request.go: the request's fields; echo.go: what the response repeats of them; items.go and content.go: what is in input;
//     transcript.go and turn.go: items become the messages of an agent.Request.
//   - chatfields.go: parameters of chat completions that this API does not have, and what to send in their place.
//   - tools.go, toolchoice.go: the client's tools under the names that the model sees, and back.
//   - localtools.go: the tools that OpenAI has defined and the client runs; pictures.go: what tools that OpenAI runs itself have left in
//     a history.
//   - response.go, output.go: the response object and its items; encoder.go: events become a response; stream.go: each
//     step of that becomes an event on the wire; answer.go: all that as the answer to an HTTP request.
//   - resource.go: items as the API lists them; conversation.go: requests about conversations.
//   - compaction.go: a history replaced by a sealed summary of it.
//   - settle.go: a response whose process died gets the end that its encoder would have given it.
//
// The facts about OpenAI's formats are those of its public OpenAPI document and of the Open Responses specification,
// and what real clients (Codex, openai-node, the AI SDK) were seen to need.
package responses
