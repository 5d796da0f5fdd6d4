// Package chat is a backend on Cursor's older chat endpoint: one request, one answer, and nothing stays
// upstream.
//
// The conversation goes out as one text. Composer writes its thinking and its tool calls into its own text; package
// markup reads them out again. Tools work by replay: after a call the run asks again, with the call and its result at
// the end of the transcript (package replay).
//
//	backend.go   Config, Start                request.go  the request, field by field
//	prompt.go    the conversation as a text   image.go    what the request says about an image
//	answer.go    an answer, as events         frames.go   the answer on the wire, in both its forms
//	errors.go    what upstream's errors mean
//
// No other client is imitated: what an operator's endpoint wants to see beyond the protocol is configured.
package chat
