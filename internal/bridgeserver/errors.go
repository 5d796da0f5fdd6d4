package bridgeserver

import (
	"encoding/json"
	"net/http"
	"strings"

	"composer-api/internal/cursor/connectwire"
)

// A failure is an error of the contract: {"error":{"message":…,"type":…,"code":…}} with a
// status. The variables below are templates and never changed: withCause and withMessage copy.
type failure struct {
	// status is HTTP's; code is the contract's name, which callers act on.
	status  int
	code    string
	message string
	err     error // the cause, for logs; it may not hold a token
}

// The failures. The codes that begin with cursor_sdk_bridge, and invalid_json, invalid_request and
// request_too_large, are those that callers of the reference's bridge know. The others are for what that
// bridge doesn't have.
var (
	errUnauthorized  = failure{status: http.StatusUnauthorized, code: "unauthorized", message: "The bridge's token is missing or wrong. Send it as 'Authorization: Bearer <token>'."}
	errInvalidJSON   = failure{status: http.StatusBadRequest, code: "invalid_json", message: "The request body is not valid JSON."}
	errInvalid       = failure{status: http.StatusBadRequest, code: "invalid_request"}
	errTooLarge      = failure{status: http.StatusRequestEntityTooLarge, code: "request_too_large"}
	errMediaType     = failure{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "Send the request as application/json."}
	errNotAllowed    = failure{status: http.StatusForbidden, code: "upstream_not_allowed", message: "The bridge may not go to that upstream. Its operator can allow it with COMPOSER_BRIDGE_ALLOW."}
	errNotConfigured = failure{status: http.StatusInternalServerError, code: "cursor_sdk_bridge_not_configured", message: "The bridge does not know where to go. Set CURSOR_BACKEND_BASE_URL and CURSOR_LOCAL_AGENT_ENDPOINT."}
	errTimeout       = failure{status: http.StatusGatewayTimeout, code: "cursor_sdk_bridge_timeout", message: "Cursor did not answer in time."}
	errClosed        = failure{status: http.StatusBadGateway, code: "cursor_sdk_bridge_stream_closed", message: "The stream to Cursor was closed before it was complete."}
	errNotFound      = failure{status: http.StatusNotFound, code: "not_found", message: "The bridge serves GET /health and POST /sdk."}
)

// withCause returns a copy of f with a cause, which is for the log.
func (f failure) withCause(err error) *failure {
	f.err = err
	return &f
}

// withMessage returns a copy of f with another message.
func (f failure) withMessage(message string) *failure {
	f.message = message
	return &f
}

// errorType is the type that goes with a status, in the words that OpenAI's clients know.
func errorType(status int) string {
	if status < http.StatusInternalServerError {
		return "invalid_request_error"
	}
	return "server_error"
}

// errorBody is the JSON of an error.
type errorBody struct {
	// Message never holds a token.
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    string `json:"code"`
}

// write answers with the failure.
func (f *failure) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(map[string]errorBody{"error": {f.message, errorType(f.status), f.code}})
}

// connectCodes has Connect's code for each failure that can happen after a stream has begun.
var connectCodes = map[string]string{errTimeout.code: "deadline_exceeded", errClosed.code: "aborted"}

// endFrame is the failure as the end of a stream that has begun. The status is out by then, so this is
// all that can be reported; our code is in parentheses at the end of the message.
func (f *failure) endFrame() []byte {
	payload, _ := json.Marshal(map[string]errorBody{"error": {
		Message: strings.TrimSuffix(f.message, ".") + " (" + f.code + ").", Type: errorType(f.status), Code: connectCodes[f.code],
	}})
	return connectwire.Append(nil, connectwire.EndOfStream, payload)
}
