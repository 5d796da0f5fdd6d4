// Package openai is what the OpenAI-shaped surfaces (chat, responses) have in common: how a failure looks, how a request
// is read, and the pieces of requests and answers that both spell the same way.
//
//   - errors.go: the one table from [agent.Code] to status, type and code, and the error body
//   - decode.go: liberal JSON decoding whose errors name the field at fault
//   - check.go, sampling.go, image.go, tools.go, format.go: checks and pieces of a request that both surfaces take
//   - http.go, append.go: reading a body, and pieces of an answer
//
// A request is read liberally: unknown fields are ignored, null is the same as absent, and only what would give the
// caller something other than what was asked for is refused. What differs between the surfaces is not here.
package openai
