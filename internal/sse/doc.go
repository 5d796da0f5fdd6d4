// Package sse writes and reads server-sent events (the text/event-stream format of the WHATWG HTML standard).
//
// A [Writer] sends events to one client: the caller appends whole events to the writer's buffer and flushes when
// nothing more is at hand, so that a burst costs one write and a lone event goes out at once. While the caller is
// silent the writer keeps the connection alive by itself with comments. [Scan] is the other side, for clients and
// tests.
package sse
