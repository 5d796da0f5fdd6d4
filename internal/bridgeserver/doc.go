// Package bridgeserver serves the contract of the reference system's HTTP/2 bridge: one plain POST, and a
// stream of Cursor's local-agent protocol as its answer.
//
//	caller ── POST /sdk, one run request ──►  bridge  ── HTTP/2, both directions ──►  Cursor
//	       ◄── frames, one by one ──────────          ◄── frames ──
//	                                                  ── request context, heartbeats ──►
//
// It is for callers that can't use HTTP/2 in both directions at once. Such a caller sends the encoded run
// request and gets upstream's frames one by one. What it has no way to answer is answered here: the
// request context, which upstream asks for at the beginning. Everything else is passed on, and the caller
// ends its request at the first tool call. Nothing is kept between two requests.
//
//	GET  /health  {"ok": true}
//	POST /sdk     {"accessToken", "requestId", "backendBaseUrl", "localAgentEndpoint", "clientVersion", "runFrame"}
//
// A bridge carries other people's access tokens to wherever a request names, so it connects only to the
// configured upstream and to those of an explicit list, and it serves nobody beyond this machine without a
// token of its own.
//
//	server.go    Config, routes, /sdk step by step     errors.go    the errors by name
//	request.go   the body of a request                 upstreams.go where a request may go
//	carry.go     one stream, there and back            listen.go    which addresses need a token
//	transport.go connections to upstream
package bridgeserver
