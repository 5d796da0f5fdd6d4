package openai

import (
	"net/http"
	"strconv"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// A Row says how one of our codes looks in OpenAI's API. SDKs raise exceptions by Status; agents read Type and Code.
//
// Anthropic's form of errors has a table of its own, in package api/messages.
type Row struct {
	// Status is HTTP's, Type one of OpenAI's words for a kind of error.
	Status int
	Type   string
	Code   string // "" is null
	// Final says that a retry cannot help; then clients are told not to retry (x-should-retry: false).
	Final bool
	// RetryAfter is the Retry-After header's value when the error has none of its own; 0 for no header.
	RetryAfter time.Duration
}

const (
	// The types that OpenAI's own answers have.
	invalidRequest = "invalid_request_error"
	serverError    = "server_error"
)

// rows has a row for every code. A failure that a retry can't cure is a 4xx, because a lasting 5xx costs
// thirty requests from Codex.
//
// What a client does with a row:
//
//	Status 4xx, or Final   it stops and shows the message
//	429, 5xx               it waits (Retry-After) and tries again, twice or more
//	Code                   agents act by it: context_length_exceeded makes Codex compact
var rows = map[agent.Code]Row{
	agent.InvalidJSON:              {Status: 400, Type: invalidRequest, Code: "invalid_json", Final: true},
	agent.MissingParameter:         {Status: 400, Type: invalidRequest, Code: "missing_required_parameter", Final: true},
	agent.InvalidType:              {Status: 400, Type: invalidRequest, Code: "invalid_type", Final: true},
	agent.InvalidValue:             {Status: 400, Type: invalidRequest, Code: "invalid_value", Final: true},
	agent.UnsupportedParameter:     {Status: 400, Type: invalidRequest, Code: "unsupported_parameter", Final: true},
	agent.UnsupportedValue:         {Status: 400, Type: invalidRequest, Code: "unsupported_value", Final: true},
	agent.ContextTooLong:           {Status: 400, Type: invalidRequest, Code: "context_length_exceeded", Final: true},
	agent.PreviousResponseNotFound: {Status: 400, Type: invalidRequest, Code: "previous_response_not_found", Final: true},
	// The same conversation would run into the same loop.
	agent.RepeatedToolCall: {Status: 400, Type: invalidRequest, Code: "repeated_tool_call", Final: true},

	agent.MissingKey:           {Status: 401, Type: invalidRequest, Final: true},
	agent.InvalidKey:           {Status: 401, Type: invalidRequest, Code: "invalid_api_key", Final: true},
	agent.PaymentRequired:      {Status: 402, Type: "insufficient_quota", Code: "payment_required", Final: true},
	agent.PermissionDenied:     {Status: 403, Type: invalidRequest, Code: "permission_denied", Final: true},
	agent.ModelNotFound:        {Status: 404, Type: invalidRequest, Code: "model_not_found", Final: true},
	agent.NotFound:             {Status: 404, Type: invalidRequest, Final: true},
	agent.UnknownURL:           {Status: 404, Type: invalidRequest, Code: "unknown_url", Final: true},
	agent.MethodNotAllowed:     {Status: 405, Type: invalidRequest, Code: "unknown_url", Final: true},
	agent.TooLarge:             {Status: 413, Type: invalidRequest, Code: "request_too_large", Final: true},
	agent.UnsupportedMediaType: {Status: 415, Type: invalidRequest, Code: "unsupported_media_type", Final: true},

	// Codex tries a WebSocket first, and goes on without one after exactly this status.
	agent.NoWebSocket: {Status: 426, Type: invalidRequest, Code: "unknown_url", Final: true},

	agent.RateLimited:   {Status: 429, Type: "rate_limit_error", Code: "rate_limit_exceeded", RetryAfter: 10 * time.Second},
	agent.QuotaExceeded: {Status: 429, Type: "insufficient_quota", Code: "insufficient_quota", Final: true},

	agent.Internal:          {Status: 500, Type: serverError},
	agent.Upstream:          {Status: 502, Type: serverError, Code: "upstream_error"},
	agent.InvalidJSONOutput: {Status: 502, Type: serverError, Code: "invalid_json_output"},
	agent.ToolChoiceUnmet:   {Status: 502, Type: serverError, Code: "tool_choice_unmet"},
	agent.Overloaded:        {Status: 503, Type: "service_unavailable_error", Code: "server_is_overloaded", RetryAfter: 5 * time.Second},
	// Only the operator can help, but a request made by hand some time later may find a configured
	// server.
	agent.NotConfigured:   {Status: 503, Type: "service_unavailable_error", Code: "not_configured", Final: true, RetryAfter: time.Minute},
	agent.UpstreamTimeout: {Status: 504, Type: serverError, Code: "upstream_timeout"},

	// These two don't reach a client. If one does, ConversationLost is our fault, and nobody reads the
	// other.
	agent.ConversationLost: {Status: 500, Type: serverError},
	agent.Canceled:         {Status: 499, Type: invalidRequest},
}

// RowOf is the row of code. A code without one is treated as Internal.
func RowOf(code agent.Code) Row {
	if row, ok := rows[code]; ok {
		return row
	}
	return rows[agent.Internal]
}

// Status is the HTTP status of an answer that failed with code; 200 for the code 0, which is no failure.
func Status(code agent.Code) int {
	if code == 0 {
		return http.StatusOK
	}
	return RowOf(code).Status
}

// Message is the sentence that the client is told about e. An error that is our own fault reveals nothing.
//
// What is not our fault may name the upstream's own words; they were cleaned where the error was
// made.
func Message(e *agent.Error) string {
	if RowOf(e.Code).Status == http.StatusInternalServerError {
		return (&agent.Error{Code: agent.Internal}).UserMessage()
	}
	return e.UserMessage()
}

// WriteError answers with err: status, headers and body. Nothing may have been written to w before. An err
// that is not an *agent.Error is Internal.
//
//	HTTP/1.1 429
//	Retry-After: 10
//
//	{"error":{"message":"…","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
//
// When its row or the error itself is final, clients are told not to retry (x-should-retry: false, which
// OpenAI's SDKs obey).
func WriteError(w http.ResponseWriter, err error) {
	e := agent.AsError(err)
	row := RowOf(e.Code)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Del("Content-Length")
	SetRetryHeaders(h, e)
	w.WriteHeader(row.Status)
	w.Write(append(AppendError(nil, e), '\n'))
}

// SetRetryHeaders sets the headers that tell a client when to try again after e, and whether to.
func SetRetryHeaders(h http.Header, e *agent.Error) {
	row := RowOf(e.Code)
	if wait := retryAfter(e, row); wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	if row.Final || e.Final {
		h.Set("X-Should-Retry", "false")
	}
	api.SetRateLimits(h, e.RateLimits)
}

// retryAfter is how long the client should wait; 0 when it is not known, or when waiting does not help.
// Seconds are rounded up by the caller: a client that comes back a moment too early is refused again.
func retryAfter(e *agent.Error, row Row) time.Duration {
	switch {
	case row.Status != http.StatusTooManyRequests && row.Status < http.StatusInternalServerError:
		return 0
	case e.RetryAfter > 0:
		return e.RetryAfter
	}
	return row.RetryAfter
}

// ErrorObject is the object of e's body alone: {"message","type","param","code"}.
func ErrorObject(e *agent.Error) []byte { return appendErrorObject(nil, e) }

// AppendError appends the body of e, {"error":{…}}.
func AppendError(b []byte, e *agent.Error) []byte {
	b = append(b, `{"error":`...)
	b = appendErrorObject(b, e)
	return append(b, '}')
}

// appendErrorObject appends e as {"message":…,"type":…,"param":…,"code":…}, always with all four members.
func appendErrorObject(b []byte, e *agent.Error) []byte {
	row := RowOf(e.Code)
	b = append(b, `{"message":`...)
	b = AppendString(b, Message(e))
	b = append(b, `,"type":`...)
	b = AppendString(b, row.Type)
	b = append(b, `,"param":`...)
	b = appendStringOrNull(b, e.Param)
	b = append(b, `,"code":`...)
	b = appendStringOrNull(b, row.Code)
	return append(b, '}')
}
