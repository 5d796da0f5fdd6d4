// Package localagent is the Backend that speaks Cursor's local-agent protocol: one HTTP/2 request per run
// whose two bodies stay open, with Connect envelopes of protobuf messages in both directions.
//
// It never runs a tool. The client's tools are offered to the model under their own names; a call becomes an
// event, and the stream stays open until the client's result is there. Cursor's built-in tools are switched
// off, and when upstream asks for one all the same, it is mapped to a tool of the client (package toolmap)
// or refused.
//
//	run ─── owns ──► stream (one attempt) ─── owns ──► outbox (request body), reader (response body)
//	 │                  │
//	 │                  └── over a conn of the backend's pool, beside the streams of other runs
//	 └── has an alarm in the backend's pacer: heartbeats and time limits
//
// A tour, in the order of a run:
//
//	backend.go       Config, New, Start
//	toolset.go       a client's tools, encoded once and shared
//	retry.go         attempts: opening a stream, and what may follow when it breaks
//	transport.go     connections; stream.go one attempt; outbox.go its request body
//	run.go           a run: what it owns, its locks, Resume, and how a turn and the run end
//	next.go          Next and Buffered: what the gateway gets next
//	watch.go         the end of a turn's context
//	reading.go       who reads, and what becomes of each message
//	queue.go         events that wait for Next; calls.go when all calls of a step are there
//	exec.go          what upstream asks us to do; builtin.go Cursor's own tools; blobs.go what we keep for it
//	limits.go        heartbeats and time limits; pacer.go one clock for all runs
//	meter.go         tokens; conversation.go what a later request continues; errors.go what failures mean
//	probe.go         whether upstream is there, for health checks
//
// The messages themselves are written and read by package agentwire.
package localagent
