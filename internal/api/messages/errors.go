package messages

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// A row is what a code of failure is in Anthropic's terms.
type row struct {
	// status is the HTTP status.
	status int
	kind   string // the error's type
	// final says that a retry cannot help, so that clients are told not to (x-should-retry: false).
	final bool
	// retryAfter is the Retry-After header's value when the error has none of its own; 0 for no header.
	retryAfter time.Duration
}

// The types of errors. Clients look at the type as well as at the status, because an error in the middle of a stream has
// no status.
const (
	invalidRequest = "invalid_request_error"
	authentication = "authentication_error"
	notFound       = "not_found_error"
	rateLimit      = "rate_limit_error"
	apiError       = "api_error"
)

// rows has a row for every code. Claude Code tries again up to ten times after a 5xx or a 529, so what a retry can't
// repair is a 4xx or final.
//
// It is this surface's own table: statuses and types differ from OpenAI's. A test makes sure
// that every code has a row.
var rows = map[agent.Code]row{
	agent.InvalidJSON:              {status: 400, kind: invalidRequest, final: true},
	agent.MissingParameter:         {status: 400, kind: invalidRequest, final: true},
	agent.InvalidType:              {status: 400, kind: invalidRequest, final: true},
	agent.InvalidValue:             {status: 400, kind: invalidRequest, final: true},
	agent.UnsupportedParameter:     {status: 400, kind: invalidRequest, final: true},
	agent.UnsupportedValue:         {status: 400, kind: invalidRequest, final: true},
	agent.ContextTooLong:           {status: 400, kind: invalidRequest, final: true},
	agent.PreviousResponseNotFound: {status: 400, kind: invalidRequest, final: true},
	agent.RepeatedToolCall:         {status: 400, kind: invalidRequest, final: true},

	agent.MissingKey:           {status: 401, kind: authentication, final: true},
	agent.InvalidKey:           {status: 401, kind: authentication, final: true},
	agent.PaymentRequired:      {status: 402, kind: "billing_error", final: true},
	agent.PermissionDenied:     {status: 403, kind: "permission_error", final: true},
	agent.ModelNotFound:        {status: 404, kind: notFound, final: true},
	agent.NotFound:             {status: 404, kind: notFound, final: true},
	agent.UnknownURL:           {status: 404, kind: notFound, final: true},
	agent.MethodNotAllowed:     {status: 405, kind: invalidRequest, final: true},
	agent.TooLarge:             {status: 413, kind: "request_too_large", final: true},
	agent.UnsupportedMediaType: {status: 415, kind: invalidRequest, final: true},
	agent.NoWebSocket:          {status: 426, kind: invalidRequest, final: true},

	agent.RateLimited:   {status: 429, kind: rateLimit, retryAfter: 10 * time.Second},
	agent.QuotaExceeded: {status: 429, kind: rateLimit, final: true},

	agent.Internal:          {status: 500, kind: apiError},
	agent.Upstream:          {status: 500, kind: apiError},
	agent.InvalidJSONOutput: {status: 500, kind: apiError},
	agent.ToolChoiceUnmet:   {status: 500, kind: apiError},
	// Only the operator can help.
	agent.NotConfigured:   {status: 500, kind: apiError, final: true},
	agent.UpstreamTimeout: {status: 504, kind: "timeout_error"},
	// The status is Anthropic's own. Claude Code knows it and says that it waits.
	agent.Overloaded: {status: 529, kind: "overloaded_error", retryAfter: 5 * time.Second},

	// These two don't reach a client; should one slip through, it is our fault or is written to nobody.
	agent.ConversationLost: {status: 500, kind: apiError},
	agent.Canceled:         {status: 499, kind: invalidRequest},
}

// rowOf is the row of code. A code without one is treated as Internal.
func rowOf(code agent.Code) row {
	if r, ok := rows[code]; ok {
		return r
	}
	return rows[agent.Internal]
}

// Status is the HTTP status of an answer that failed with code; 200 for the code 0, which is no failure.
func Status(code agent.Code) int {
	if code == 0 {
		return http.StatusOK
	}
	return rowOf(code).status
}

// tooLong begins the message of a conversation that is too long. Clients look for these words and then compact it.
const tooLong = "prompt is too long: "

// message is the sentence that the client is told about e. The error body has no place for the field at fault, so the
// field's path stands before a sentence that doesn't name it. What is our own fault says nothing of our inside.
func message(e *agent.Error) string {
	switch {
	case e.Code == agent.Internal, e.Code == agent.ConversationLost:
		return (&agent.Error{Code: agent.Internal}).UserMessage()
	case e.Code == agent.ContextTooLong:
		return tooLong + e.UserMessage()
	case e.Param != "" && !strings.Contains(e.UserMessage(), e.Param):
		return e.Param + ": " + e.UserMessage()
	}
	return e.UserMessage()
}

// errThread is the cause of the error of a request that counts on its conversation being kept here.
var errThread = errors.New("the request is part of a thread")

// threadDetails is what the SDKs' tool runners read before they go on without a thread. They try one first, and then
// send only what is new.
const threadDetails = `,"details":{"error_code":"thread_unsupported_request","unsupported":["thread"]}`

// requestIDHeader is what Anthropic's SDKs read the id of a request from.
const requestIDHeader = "Request-Id"

// ErrorForm is how this surface's clients expect failures to look, those included that happen before a route is found:
// they send anthropic-version on every route, and whoever asks for a path of the Messages API is one of them.
func ErrorForm() api.ErrorForm {
	return api.ErrorForm{Fits: fits, Write: func(w http.ResponseWriter, _ *http.Request, err error) { WriteError(w, err) }}
}

// fits reports whether the client that sent r expects Anthropic's form of errors.
//
// A client of OpenAI's on the same server never sends this header.
func fits(r *http.Request) bool {
	path := r.URL.Path + "/"
	return r.Header.Get(api.AnthropicVersion) != "" || strings.Contains(path, "/v1/messages/")
}

// WriteError answers with err: status, headers and body. Nothing may have been written to w before but the header
// X-Request-Id, whose value is repeated where Anthropic's clients look for it. An err that is no *agent.Error is
// Internal.
//
//	HTTP/1.1 429
//	Request-Id: req_…
//	Retry-After: 10
//
//	{"type":"error","error":{"type":"rate_limit_error","message":"…"},"request_id":"req_…"}
func WriteError(w http.ResponseWriter, err error) {
	e := agent.AsError(err)
	r := rowOf(e.Code)
	h := w.Header()
	id := h.Get("X-Request-Id")
	if id != "" {
		h.Set(requestIDHeader, id)
	}
	h.Set("Content-Type", "application/json")
	h.Del("Content-Length")
	if wait := retryAfter(e, r); wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	if r.final || e.Final {
		h.Set("X-Should-Retry", "false")
	}
	api.SetRateLimits(h, e.RateLimits)
	w.WriteHeader(r.status)
	w.Write(append(appendError(nil, e, id), '\n'))
}

// retryAfter is how long the client should wait; 0 when it is not known, or when waiting does not help.
//
// Where it would be wrong to wait (a 4xx that is no limit), a Retry-After header would only
// mislead SDKs, which wait for it.
func retryAfter(e *agent.Error, r row) time.Duration {
	switch {
	case r.status != http.StatusTooManyRequests && r.status < http.StatusInternalServerError:
		return 0
	case e.RetryAfter > 0:
		return e.RetryAfter
	}
	return r.retryAfter
}

// appendError appends the body of e. requestID may be "".
//
// It is the body of an answer and the data of a stream's error event.
func appendError(b []byte, e *agent.Error, requestID string) []byte {
	b = append(b, `{"type":"error","error":{"type":`...)
	b = openai.AppendString(b, rowOf(e.Code).kind)
	b = append(b, `,"message":`...)
	b = openai.AppendString(b, message(e))
	if errors.Is(e, errThread) {
		b = append(b, threadDetails...)
	}
	b = append(b, '}')
	if requestID != "" {
		b = append(b, `,"request_id":`...)
		b = openai.AppendString(b, requestID)
	}
	return append(b, '}')
}
