// Package traces sends OpenTelemetry spans to the operator's collector: one for each HTTP request and one for each turn.
//
//	httpd ── Begun, Answered ──┐
//	                           ├──► Traces ──► a queue of the SDK's ──► OTLP ──► collector
//	watch ── Observer ─────────┘       │
//	                                   └──► LogHandler: the id of the trace in the log
//
// What is in a span is what metrics and the request log may know: times, names, numbers, codes. There is no content in it, no
// key, and no word of a client's but its request id.
//
// It is off unless the standard variables of OpenTelemetry ask for it (settings.go), and costs nothing then: nobody makes a
// Traces. A collector that can't be reached costs spans and a line of the log now and then, never a turn (exporter.go).
//
//	traces.go     Traces: where spans begin and end
//	attributes.go what a span says
//	settings.go   which variables are read
//	exporter.go   spans that can't be sent
//	log.go        the trace in the log
package traces
