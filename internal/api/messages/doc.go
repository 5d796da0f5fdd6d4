// Package messages is the surface that speaks Anthropic's Messages API: POST /v1/messages and
// POST /v1/messages/count_tokens. Claude Code and the Anthropic SDKs speak it.
//
// [Decode] reads a request body into an [agent.Request] and the few facts that only this surface needs. An [Encoder]
// writes a turn's events back as content blocks, as a stream or as one answer. Package gateway does what happens
// between the two.
//
//   - request.go: the request's fields; conversation.go: its messages; content.go: the blocks that they are made of
//   - tools.go: tools and tool choice; clienttools.go: tools that have a type instead of a schema; openaifields.go: what comes in OpenAI's form
//   - encoder.go: events to blocks; stream.go, whole.go: the two forms in which blocks are written
//   - errors.go: the one table from [agent.Code] to status and type, and the error body
//   - routes.go: the routes
//
// The facts about the format are those of Anthropic's public reference (Messages, Streaming, Errors), of its page on
// gateways for Claude Code ("LLM gateway protocol"), and of what Claude Code and the SDKs were seen to send.
package messages
