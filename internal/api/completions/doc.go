// Package completions is the legacy completions surface: POST /v1/completions in OpenAI's form, for clients that have
// not moved to chat.
//
// Each prompt is one turn: the prompt is what the user says, and the model's text is the completion. Several prompts
// are several turns, one after the other, whose answers are the choices. The models can't fill in a gap, so "suffix" is
// refused.
//
//	body ─► decode ─► request ─┬─► turn 0 ─► choice 0 ─┐
//	                           └─► turn 1 ─► choice 1 ─┴─► end
//
// Its files: routes.go has the route and its handler, request.go the request's fields, answer.go what both encoders share;
// stream.go and body.go are the encoders.
package completions
