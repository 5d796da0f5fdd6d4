// Package openai is what the OpenAI-shaped surfaces (chat, responses) have in common: how a failure
// looks, how a request is read, and the pieces of requests and answers that both spell the same way.
//
//   - errors.go: the one table from [agent.Code] to status, type and code, and the error body
//   - decode.go, bound.go: lenient JSON decoding whose errors name the field at fault, and its limit
//   - check.go, sampling.go, image.go, tools.go, custom.go, format.go: checks and pieces of a request
//     that both surfaces accept
//   - append.go: pieces of an answer
//
// A request is read leniently: unknown fields are ignored, null is the same as absent, and a request is
// refused only when its answer would be something other than what was asked for. What differs between
// the surfaces is not here.
package openai
