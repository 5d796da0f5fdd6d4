// Package httpd is the gateway's HTTP server: which routes there are, who may use them, and how an error
// becomes an answer.
//
// A request passes the middleware (one list, in [New]) and reaches an api.Route that some surface has
// brought. The server does what is the same for every route, in this order:
//
//	draining?  who asks  from which origin  within the limits  the body ──► the handler ──► its error
//
// It knows no surface by name: cli hands their routes in.
//
// To shut down, call [Server.Drain], then close the gateway, then [Server.Shutdown]: from Drain on, a new
// turn is sent to another replica, or answered 503, while the listener is still open, so that a client gets an
// answer instead of a closed port. With replicas, [Server.StopListening] comes before Shutdown.
//
// Its files, in the order in which a request meets them:
//
//	server.go       Config, Server, and how it ends
//	accept.go       why nobody is let in
//	middleware.go   what surrounds every request; logpath.go what the log shows of a path
//	routes.go       the routing table, and the steps before a handler; noroute.go requests without a route
//	origin.go       what web pages may do
//	auth.go         who asks
//	limits.go       how many turns at once
//	body.go         the body, decompressed and bounded; budget.go all bodies together
//	peers.go        requests that another replica answers
//	response.go     the answer, and how long it may take to be read
//	errors.go       an error as an answer
//	health.go       the health checks
package httpd
