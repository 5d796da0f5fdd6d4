// Package apitest is the exam of a surface's decoder and encoders: cases that every surface runs, each with
// the exact bytes that the client gets.
//
// A case is a txtar file in testdata. Its comment says why it is there and which client fails without it. Its
// files:
//
//	events            what the gateway does in the turn: see parseScript
//	SURFACE.request   the request, without what makes it a stream; a surface without one skips the case
//	decoded           the request as agent.Request: one file, because all surfaces must understand the same
//	SURFACE.stream    golden: status, headers and body of the streamed answer
//	SURFACE.body      golden: the same of the whole answer
//
// A file may have several scenarios: after a file's name comes a blank and the scenario's name, as in "events
// cut". A file that a scenario lacks is taken from the files without a scenario. SURFACE.stream.request
// replaces SURFACE.request for the stream. A case without events ends after decoding.
//
// Golden files are rewritten with -update, the flag of package golden.
//
// An error, too, has a golden file for each surface: the same failure looks different in OpenAI's
// form and in Anthropic's.
//
//	run.go        which scenarios there are, and how they are compared
//	script.go     the events file
//	describe.go   the decoded file
//	promises.go   what every decoded request promises, for fuzzing
//	growth.go     that work grows with its input, and no faster
//	twice.go      what a client sees of an answer that breaks off and is begun again
package apitest
