// Package agentwire writes and reads the messages of Cursor's local-agent protocol. It opens no stream
// and keeps no run: that is for package localagent, and for the two ends of the bridge, which send the
// same bytes because they use the same code.
//
// A stream is bidirectional. What the client sends ("we") and what the server sends ("upstream"), each
// message in an envelope of package connectwire:
//
//	run_request                          ──►
//	                                     ◄──  exec request_context, mcp_state
//	exec answer, stream_close            ──►
//	                                     ◄──  interaction_update: text_delta, thinking_delta, …
//	                                     ◄──  exec mcp_args: a call of a client's tool
//	exec heartbeat every 3 s             ──►
//	exec answer, stream_close            ──►
//	client_heartbeat every 5 s           ──►
//	                                     ◄──  conversation_checkpoint_update
//	                                     ◄──  interaction_update: turn_ended, then the end of the stream
//
// What is written by hand rather than by generated code is what may be megabytes (the prompt), what must
// be sent back byte for byte (a conversation's state) and what comes for each word (a text delta).
//
//	prompt.go        a conversation as the one user message that opens a run
//	request.go       the run request and its headers
//	toolset.go       what upstream is told about the client's tools, encoded once
//	answers.go       answers to what upstream asks, and heartbeats
//	queries.go       the refusal of questions for the user
//	deltas.go        the hot path: text out of a message, without allocation; all other messages
//	arguments.go     calls: which tool, and its arguments as JSON
//	cost.go          what a turn has cost, according to upstream
//	encoding.go      envelopes and fields
package agentwire
