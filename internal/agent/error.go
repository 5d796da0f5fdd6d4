package agent

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Errors, as every package of this program hands them to a surface. A failure that a client may
// see is an *Error with a Code; any other error becomes Internal, whose message says nothing
// (AsError). The path of one:
//
//	a backend, the gateway, a surface's decoder   make it: what happened, in words for the user
//	the gateway                                   may try again
//	a surface                                     writes it in its API's form: status and code by Code
//	the log                                       has Error() with the cause, which no client sees

// An Error is a failure with a kind, a sentence for the user and a cause for us. It is not
// changed once it is returned: some errors are variables that many requests share.
type Error struct {
	// Code is the kind of failure; surfaces turn it into a status and a code of their own.
	Code Code
	// Message is for the user: what happened and what to do about it. It never holds a key or our insides. Empty
	// means Code's own sentence.
	Message string
	// Param names the request field at fault, in the surface's own spelling: "messages[2].content".
	Param string
	// FromUpstream is set when Message is upstream's own.
	FromUpstream bool
	// RetryAfter is how long to wait before trying again; 0 when unknown.
	RetryAfter time.Duration
	// Final says that trying again does not help, whatever the code says: our own retries are used up, or upstream would
	// answer the same. Clients are told so (x-should-retry: false).
	Final bool
	// Limit names the limit of this server's that was reached, for who counts: "max_requests". Empty for any other error.
	Limit string
	// RateLimits are the limits that the caller's key has, when one of them was reached; nil for any other error.
	RateLimits []RateLimit
	// Err is the cause, for logs only.
	Err error
}

// ErrShuttingDown refuses what comes while the server ends, before anything was begun or sent: the request may be carried out by
// another server. httpd looks for it when another replica has sent the request.
//
// A second is enough: a load balancer has another server by then, or this one is gone and its successor listens. It is 503 with
// Retry-After, which every SDK tries again.
var ErrShuttingDown error = &Error{Code: Overloaded, Message: "The server is shutting down. Please try again.", RetryAfter: time.Second}

// Errorf makes an Error with a message and no cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ParamError makes an Error about one request field.
func ParamError(code Code, param, format string, args ...any) *Error {
	return &Error{Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// AsFinal is e with Final set. e stays as it is: others may hold it.
func (e *Error) AsFinal() *Error {
	final := *e
	final.Final = true
	return &final
}

// Error implements error, for logs.
func (e *Error) Error() string {
	s := e.Code.String() + ": " + e.UserMessage()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// UserMessage is the sentence for the user, never empty.
func (e *Error) UserMessage() string {
	if e.Message != "" {
		return e.Message
	}
	return codes[e.Code].sentence
}

// AsError returns err as an *Error. What isn't one becomes Internal, with err as its cause and
// nothing of it in the message. It never returns nil; err must not be nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: Internal, Err: err}
}

// CatchPanic, deferred, makes an error of a panic on this goroutine and hands it to then: code Internal, with the stack in
// its cause. Without a panic it does nothing. A panic that nobody catches ends the process and with it everybody's runs, so
// each goroutine that runs more than a line has somebody who catches; a test in archtest knows them all.
//
// It may run while then's caller holds nothing: locks are released by what was deferred after it.
func CatchPanic(then func(*Error)) {
	if p := recover(); p != nil {
		then(&Error{Code: Internal, Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())})
	}
}

// CodeOf is the code of err; 0 for nil. An error that isn't an *Error counts as Internal.
func CodeOf(err error) Code {
	if err == nil {
		return 0
	}
	return AsError(err).Code
}

// Code is the kind of a failure. A new one needs a row in codes and a row in the tables of all
// surfaces; tests go through Codes.
type Code uint8

// The codes. Their HTTP statuses are in the surfaces' tables.
const (
	Internal Code = iota + 1 // our fault

	// What the client sent.
	InvalidJSON
	MissingParameter
	InvalidType
	InvalidValue
	UnsupportedParameter
	UnsupportedValue
	TooLarge
	UnsupportedMediaType
	ModelNotFound
	PreviousResponseNotFound
	NotFound         // the thing that a URL names
	UnknownURL       // no such route
	MethodNotAllowed // there is a route, but not with this method
	NoWebSocket      // the client asks for a WebSocket
	ContextTooLong

	// Who the client is.
	MissingKey
	InvalidKey
	PaymentRequired
	PermissionDenied

	// How much it asks.
	RateLimited
	QuotaExceeded
	Overloaded

	// What upstream did.
	Upstream          // failed in a way that has no better code
	UpstreamTimeout   // did not start, stalled, or made no progress
	NotConfigured     // no backend is configured for this
	ConversationLost  // can't continue; never reaches a client
	InvalidJSONOutput // the answer does not fit the format asked for
	ToolChoiceUnmet   // the model would not call the tool that it had to
	RepeatedToolCall  // the loop guard ended the run
	Canceled          // the client went away; never reaches a client
)

// codes has a name for logs, and the sentence that is used when an Error has none.
var codes = [...]struct{ name, sentence string }{
	Internal:                 {"internal", "Something went wrong on our side. Please try again."},
	InvalidJSON:              {"invalid_json", "The request body is not valid JSON."},
	MissingParameter:         {"missing_parameter", "A required parameter is missing."},
	InvalidType:              {"invalid_type", "A parameter has the wrong type."},
	InvalidValue:             {"invalid_value", "A parameter has a value that is not allowed."},
	UnsupportedParameter:     {"unsupported_parameter", "A parameter is not supported here."},
	UnsupportedValue:         {"unsupported_value", "A parameter has a value that is not supported here."},
	TooLarge:                 {"too_large", "The request body is too large."},
	UnsupportedMediaType:     {"unsupported_media_type", "Send the request as application/json."},
	ModelNotFound:            {"model_not_found", "The model does not exist or your key has no access to it."},
	PreviousResponseNotFound: {"previous_response_not_found", "The previous response was not found."},
	NotFound:                 {"not_found", "Not found."},
	UnknownURL:               {"unknown_url", "There is no such route."},
	MethodNotAllowed:         {"method_not_allowed", "This method is not allowed for this URL."},
	NoWebSocket:              {"no_websocket", "A WebSocket needs HTTP/1.1, and proxies that pass on the Upgrade header. Send the request with POST."},
	ContextTooLong:           {"context_too_long", "The conversation is too long for the model."},
	MissingKey:               {"missing_key", "No API key was sent. Send your Cursor API key as 'Authorization: Bearer <key>'."},
	InvalidKey:               {"invalid_key", "The API key is not valid. Create one in the Cursor dashboard under Integrations."},
	PaymentRequired:          {"payment_required", "Cursor asks for a payment method or usage-based pricing."},
	PermissionDenied:         {"permission_denied", "This key may not do that."},
	RateLimited:              {"rate_limited", "Too many requests. Please wait and try again."},
	QuotaExceeded:            {"quota_exceeded", "The usage limit of your Cursor plan is reached."},
	Overloaded:               {"overloaded", "The server is overloaded. Please try again shortly."},
	Upstream:                 {"upstream", "The upstream service failed."},
	UpstreamTimeout:          {"upstream_timeout", "The upstream service did not answer in time."},
	NotConfigured:            {"not_configured", "No upstream is configured."},
	ConversationLost:         {"conversation_lost", "The conversation can no longer be continued."},
	InvalidJSONOutput:        {"invalid_json_output", "The model did not produce the JSON that was asked for."},
	ToolChoiceUnmet:          {"tool_choice_unmet", "The model did not call the tool that was asked for."},
	RepeatedToolCall:         {"repeated_tool_call", "The model repeated the same tool call too often."},
	Canceled:                 {"canceled", "The client went away."},
}

// Codes lists every code, for tests that walk the tables.
func Codes() []Code {
	var all []Code
	for c := Internal; int(c) < len(codes); c++ {
		all = append(all, c)
	}
	return all
}

// String is the code's name in logs.
func (c Code) String() string {
	if int(c) < len(codes) && codes[c].name != "" {
		return codes[c].name
	}
	return "unknown"
}
