// Package api is what every surface shares: how it is mounted, and what it knows of a request before
// it reads it.
//
// A surface is a public API: chat completions, Responses, the list of models, sign-up. Each lives in a
// package below this one and has a Routes function, which returns its lines of the routing table.
// Package httpd mounts them and does everything that is the same for all of them:
//
//	request ──► httpd: id, key, limits, body ──► Handler(w, r, call) ──► its error, rendered by httpd
//
// So a surface is added by one package and one line in cli.
//
// Its files: api.go has Route, Handler and Call; http.go what handlers do to read a request and write an answer;
// ratelimit.go the headers that tell a client its limits; logged.go what the log may show of a request.
package api

import (
	"context"
	"io"
	"net/http"

	"composer-api/internal/agent"
)

// A Route is one line of the routing table.
//
// Routes differ in what httpd does before the handler is called:
//
//	field   httpd then
//	Open    asks for no key; Call.Caller is zero
//	Turn    counts the request against the limits, and refuses it during the shutdown
//	Form    takes a body of form fields
//	Held    asks another replica when the handler does not find what the request is about
type Route struct {
	// Pattern is a method and a path, as http.ServeMux takes them: "GET /models/{id...}". Whether the
	// path is relative to the API's bases (/v1, /u/{account}/v1, …) or absolute depends on where the
	// route is mounted.
	Pattern string
	// Open routes need no key.
	Open bool
	// Turn routes start a turn: they are refused while the server shuts down, and count for the limits.
	Turn bool
	// Form routes take the fields of a web form and no JSON.
	Form bool
	// Held names the value of the path (r.PathValue) that is the id of something which may be in the memory of another
	// replica; "" for routes whose things are in the store. The handler doesn't read the body.
	Held string
	// Handle answers the request.
	Handle Handler
}

// A Handler answers a request, or returns an error for the caller to render.
//
// An error that it returns before it has written anything becomes the answer. Afterwards the error
// cuts the connection off, because the answer is not complete, unless it is a [Told]. The body, if
// there is one, is JSON (of a Form route, form fields) of bounded size and already decompressed; reading it fails with *agent.Error.
// call belongs to this request; the handler may keep it. Handlers run concurrently.
type Handler func(w http.ResponseWriter, r *http.Request, call *Call) error

// A Call is what is known of a request before its surface reads it: who asks (from the key), for which upstream (from
// the path), in which session (from the headers).
//
// httpd makes one for each request (routes.go there), and one for each further turn through Again.
type Call struct {
	// Caller is who asks; zero on an open route.
	Caller agent.Caller
	// Upstream is the backend that the path asks for; "" is the default.
	Upstream string
	// Session is the client's name for the conversation; "" when it sent none.
	Session string
	// PinSession asks that the session keeps its upstream conversation id; see agent.Request.
	PinSession bool
	// Origin is the HTTP request, for the request log.
	Origin agent.Origin
	// MaxCostUSD is what the client lets the conversation cost, in US dollars; 0 is no limit.
	MaxCostUSD float64
	// Again counts one more turn of a request that carries out several: a WebSocket. It refuses the turn as a new request
	// would be refused: while the server shuts down, when the key was revoked since, or beyond the limits. The call that
	// it returns is for that turn. The caller calls leave when the turn is over. Errors are *agent.Error. It may be called
	// concurrently.
	Again func(ctx context.Context) (call *Call, leave func(), err error)
	// Within gives a reader of a message that comes on a WebSocket, and has its share of the server's memory for bodies. Its
	// errors are those of message, or *agent.Error when there is no room. The caller calls release when the message was decoded,
	// or is given up; more than once does no harm. ctx ends a wait for room. Within may be called concurrently.
	Within func(ctx context.Context, message io.Reader) (within io.Reader, release func())
	// Place, when not nil, decides where the turn is carried out. Its error says that the run which waits for it is
	// held by another replica; httpd sends the whole request there. See Fill.
	Place func(*agent.Request) error
	// Attempt says whether the request may be carried out more than once.
	Attempt Attempt
	// ReferenceNames asks that models are also listed under the names that the reference system gives them on this
	// path, because clients have those in their settings.
	ReferenceNames bool
}

// An Attempt is one of several to have a request carried out: another replica was asked to, and its answer did not come, so nobody knows
// whether it has done so, or still will. What is kept of the request must be kept once, whoever is first: it is what the last attempt
// says, because its answer is the one that the client gets.
type Attempt struct {
	// Name is random, and the same for all attempts. "" when there will be one only.
	Name string
	// Again says that there was one before this.
	Again bool
}

// Fill copies what the call knows into req. An error is for httpd alone: the handler returns it at once, with nothing written
// and nothing begun.
//
// It must be called before the turn is carried out, after the surface has decoded its own fields. A surface
// may set some of them anew afterwards, as messages does with a session that is named in the body.
func (c *Call) Fill(req *agent.Request) error {
	req.Caller, req.Upstream, req.Session, req.PinSession, req.Origin = c.Caller, c.Upstream, c.Session, c.PinSession, c.Origin
	req.MaxCostUSD = c.MaxCostUSD
	if c.Place == nil {
		return nil
	}
	return c.Place(req)
}

// An ErrorForm is how the clients of some surface expect failures to look, where that is not OpenAI's form.
type ErrorForm struct {
	// Fits reports whether whoever sent r expects this form. There may be no route for r.
	Fits func(r *http.Request) bool
	// Write answers r with err: status, headers and body. Nothing but headers has been set on w before, among them
	// X-Request-Id. An err that is no *agent.Error is our own fault.
	Write func(w http.ResponseWriter, r *http.Request, err error)
}

// AnthropicVersion is the header by which a client of Anthropic's API shows itself on a path that other clients use,
// too. Its value, the version of that API, is not looked at.
const AnthropicVersion = "Anthropic-Version"

// A Told error has been reported to the client already, as the last event of a stream: it is for the
// log only, and the answer is complete.
//
// httpd looks for it with errors.As. Without it, a handler's error after the first byte cuts
// the connection off, so that no client takes a part for the whole.
type Told struct{ Err error }

// Error implements error.
func (t *Told) Error() string { return t.Err.Error() }

// Unwrap returns the error that was reported.
func (t *Told) Unwrap() error { return t.Err }
