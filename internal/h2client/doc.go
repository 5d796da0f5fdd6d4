// Package h2client is the client's side of an HTTP/2 connection, for requests whose bodies stay open for minutes while
// little is said. net/http keeps a buffer and a goroutine for each such body; this package keeps neither. Decision 105
// has the figures.
//
// net/http still looks addresses up, dials, goes through proxies and speaks TLS: [Install] puts this package into an
// http.Transport, whose NewClientConn then returns connections of it.
//
//	RoundTrip ──► frames that wait ──► writer, one a connection ──► server
//	Source ─────► (wake, take)              │
//	                                        windows
//	Read ◄────── inbox of a stream ◄── reader, one a connection ◄── server
//
// Nothing is written by whoever has something to say. It is noted, and the writer takes all that is there in one write:
// so a heartbeat never waits for a socket, and those of many streams go out together.
//
//	transport.go   Install: the place in net/http
//	conn.go        conn: its streams, places on it, its end
//	request.go     RoundTrip: a stream is opened, and answered
//	source.go      Source: a request's body
//	stream.go      stream: its states, the response's body
//	inbox.go       bytes that have come and were not read
//	read.go        the reader: what each frame does
//	settings.go    what the server asks for
//	write.go       the writer: which frames go out in which order
//	alive.go       pings, and the end of connections that nobody uses
//	errors.go      how requests fail
//
// What it does not do, because nobody needs it: request bodies that are no Source, trailers (they are read and dropped),
// pushes, priorities, CONNECT.
//
// Source of the protocol: RFC 9113, and RFC 7541 for headers. Frames and headers are encoded by golang.org/x/net.
package h2client
