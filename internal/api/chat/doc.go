// Package chat is the chat completions surface: POST /v1/chat/completions in OpenAI's form.
//
//	body ─► Decode ─► Request (an agent.Request and more) ─► agent.Turner ─► events ─► Encoder ─► answer
//
// [Decode] reads a request body into an [agent.Request] and the few facts that only this surface needs. An
// [Encoder], which is an [agent.Sink], writes a turn's events back, as a stream ([Stream]) or as one answer
// ([wholeAnswer]). What happens between the two is not known here.
//
//   - routes.go: the route and its handler
//   - request.go: the request's fields, in the order of the specification's table
//   - messages.go: the conversation; tools.go: tools, tool choice and the deprecated functions
//   - input.go: bodies in the form of the Responses API, which some clients send to this route
//   - keep.go: what is kept of a request with store: true, for whoever keeps it (package chat/stored)
//   - encoder.go: what both encoders share; stream.go, body.go: the encoders
package chat
