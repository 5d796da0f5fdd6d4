// Package agentwire writes and reads the messages of Cursor's local-agent protocol. It opens no stream and keeps no run:
// that is for package localagent, and for the two ends of the bridge, which say the same because it is the same code.
//
// What is written by hand rather than by generated code is what may be megabytes (the prompt), what must go back byte for
// byte (a conversation's state) and what comes for each word (a text delta).
//
//	prompt.go        a conversation as the one user message that opens a run
//	request.go       the run request and its headers
//	toolset.go       what upstream is told about the client's tools, encoded once
//	answers.go       answers to what upstream asks, and heartbeats
//	queries.go       the refusal of questions for the user
//	deltas.go        the hot path: text out of a message, without allocation; all other messages
//	arguments.go     calls: which tool, and its arguments as JSON
//	cost.go          what upstream says that a turn has cost
//	encoding.go      envelopes and fields
package agentwire
