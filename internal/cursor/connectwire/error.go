package connectwire

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// An Error is the failure of a call, as the server reports it: at the end of a stream, or as the body of
// an answer whose status is not 200.
//
//	{"error":{"code":"resource_exhausted","message":"Error","details":[{"type":"aiserver.v1.ErrorDetails","value":"CAo…"}]}}
//
// Only the framing is read here. What a code or a detail means for a user is in package cursorerr.
type Error struct {
	// Code is Connect's name of the kind: "unauthenticated", "resource_exhausted". It may be one that Connect
	// doesn't have, or empty.
	Code string
	// Message is the server's own text, which may be empty or say nothing ("Error").
	Message string
	Details []Detail
}

// A Detail is a typed message that comes with an Error.
type Detail struct {
	Type  string          // the message's full name, without a type URL
	Value []byte          // the message's bytes; nil when they can't be decoded
	Debug json.RawMessage // the same as JSON, if the server says it
}

// Error implements error.
func (e *Error) Error() string {
	code := e.Code
	if code == "" {
		code = "unknown"
	}
	if e.Message == "" {
		return code
	}
	return code + ": " + e.Message
}

// wireError is Error in JSON. Details are decoded one by one, so that one that is malformed doesn't hide
// the rest.
type wireError struct {
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Details []json.RawMessage `json:"details"`
}

// decode makes the Error. A type may come with a URL before it ("type.googleapis.com/…"), which is
// dropped.
func (w *wireError) decode() *Error {
	e := &Error{Code: w.Code, Message: w.Message}
	for _, raw := range w.Details {
		var d struct {
			Type  string          `json:"type"`
			Value string          `json:"value"`
			Debug json.RawMessage `json:"debug"`
		}
		if json.Unmarshal(raw, &d) == nil {
			name := d.Type[strings.LastIndexByte(d.Type, '/')+1:]
			e.Details = append(e.Details, Detail{Type: name, Value: decodeBase64(d.Value), Debug: d.Debug})
		}
	}
	return e
}

// decodeBase64 accepts both forms: Connect sends base64 without padding and asks receivers to accept it
// with padding. nil when it is neither.
func decodeBase64(s string) []byte {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil
	}
	return b
}

// parseEnd reads the payload of an end-of-stream envelope. Its result is the Reader's last error: io.EOF
// for a good end, *Error, or *FormatError.
func parseEnd(payload []byte) error {
	var end struct {
		Error *wireError `json:"error"`
	}
	if len(payload) == 0 {
		return io.EOF // some servers leave the {} out
	}
	if err := json.Unmarshal(payload, &end); err != nil {
		return formatErrorf("end of stream: %v", err)
	}
	if end.Error == nil {
		return io.EOF
	}
	return end.Error.decode()
}

// ParseError reads the answer to a call that the server refused with an HTTP status. A body that isn't
// Connect's JSON (a proxy's page, for example) gives an Error with a code that is made from the status.
func ParseError(status int, body []byte) *Error {
	var w wireError
	if json.Unmarshal(body, &w) != nil || w.Code == "" {
		w.Code = codeOfStatus(status)
	}
	return w.decode()
}

// codeOfStatus is the table "HTTP to Error Code" of the Connect protocol, with 413 and 500 added, and
// with 429 as a limit instead of an outage.
func codeOfStatus(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusInternalServerError:
		return "internal"
	case http.StatusUnauthorized:
		return "unauthenticated"
	case http.StatusForbidden:
		return "permission_denied"
	case http.StatusNotFound:
		return "unimplemented"
	case http.StatusRequestEntityTooLarge:
		return "invalid_argument"
	case http.StatusTooManyRequests:
		return "resource_exhausted"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "unavailable"
	}
	return "unknown"
}
