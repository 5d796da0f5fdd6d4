// Package httpd is the gateway's HTTP server: which routes there are, who may use them, and how an error becomes an
// answer.
//
// A request passes the middleware (one list, in [New]) and reaches a [Route] of the table in routes.go. Routes return
// errors; one adapter renders them in OpenAI's shape, so no route writes an error itself. A route gets a [Call]: who
// asks (from the key), for which upstream (from the path), in which session (from the headers). What a request means
// is the business of the surfaces (packages below api), what a turn does that of package gateway.
//
// [Record] goes between the surfaces and the gateway: it writes the turns of hosted keys down.
//
// To shut down, call [Server.Drain], then close the gateway, then [Server.Shutdown]: from Drain on, a new turn is
// answered 503 while the listener is still open, so that a client hears of it instead of running into a closed port.
package httpd
