// Package openai is what the OpenAI-shaped surfaces (chat, legacy completions, responses) have in
// common: how a failure looks, how a request is read, and the pieces of requests and answers that
// they spell the same way.
//
//   - errors.go: the one table from [agent.Code] to status, type and code, and the error body
//   - decode.go, bound.go, span.go: lenient JSON decoding whose errors name the field at fault, its limits, and where a value stood
//     in what was decoded
//   - check.go, sampling.go, metadata.go: checks of single fields
//   - image.go, file.go: images and files in a request
//   - tools.go, custom.go, format.go: tools, custom tools, and the form of the answer
//   - append.go, usage.go, stream.go: pieces of an answer, and how a stream of chunks ends
//
// A request is read leniently: unknown fields are ignored, null is the same as absent, and a
// request is refused only when its answer would be something other than what was asked for. What
// differs between the surfaces is not here.
//
// Nothing here has state or needs closing. All functions may be called concurrently; a [Counter]
// and a [ToolList] belong to one request.
package openai
