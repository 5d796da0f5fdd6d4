// Package httpd is the gateway's HTTP server: which routes there are, who may use them, and how an error becomes an
// answer.
//
// A request passes the middleware (one list, in [New]) and reaches an api.Route that some surface brought. The server
// does what is the same for every route: it finds out who asks, counts turns for the limits, bounds and decompresses
// the body, and renders the error that a handler returns. It knows no surface by name: cli hands their routes in.
//
// To shut down, call [Server.Drain], then close the gateway, then [Server.Shutdown]: from Drain on, a new turn is
// answered 503 while the listener is still open, so that a client hears of it instead of running into a closed port.
package httpd
