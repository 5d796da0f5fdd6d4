// Package agent is the middle of Composer API: what a request is, what a run yields, and how it fails.
//
// Surfaces (the public APIs) decode requests into a [Request] and encode [Event]s; backends (the ways to reach a
// model) take a Request and produce Events. They meet here and never import each other, so a new surface works with
// every backend and a new backend with every surface.
//
// A [Backend] starts a [Run]. A run is one conversation step upstream; it may span several turns, a turn being one
// HTTP request and its answer. A turn ends with a [Done] event. After Done with [ToolCalls] the run waits for the
// client's results, and Resume begins the next turn on the same run:
//
//	Start ─► Next … Done(ToolCalls) ─► Resume ─► Next … Done(Stop) ─► Close
//	         one turn                            one turn
//
// What happens between the two HTTP requests (who may claim the run, how long it waits) is decided by package park, and
// when to start, resume or close by package gateway.
//
// This package imports the standard library only and has no behaviour beyond its own types.
//
// Its files:
//
//	backend.go     Backend and Run with their contracts, and the interfaces that some of them have besides
//	turn.go        Turner and Sink: the same, seen from a surface
//	request.go     Request, Message, Part, Tool: what a client asks
//	event.go       Event: what a run yields, and Done, its end
//	error.go       Error and Code; the path of an error from upstream to a client
//	format.go      the form that an answer must have: text, or JSON of a schema
//	image.go, file.go, thinking.go: what messages hold besides plain text
//	text.go        whole characters out of text that comes in pieces
//	tokens.go      estimates of tokens
//	toolname.go    names of tools, and sentences for the model about them
//	id.go          ids
//	key.go         what is wrong with the form of a key
package agent
