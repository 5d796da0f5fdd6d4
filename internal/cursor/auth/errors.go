package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/reach"
)

// statusCodes is what an HTTP status other than 200 means. What isn't here is agent.Upstream.
// The codes decide whether a request may be tried again, and which HTTP status the client gets.
var statusCodes = map[int]agent.Code{
	http.StatusUnauthorized:       agent.InvalidKey,
	http.StatusPaymentRequired:    agent.PaymentRequired,
	http.StatusForbidden:          agent.PermissionDenied,
	http.StatusNotFound:           agent.NotConfigured, // another server than we were told
	http.StatusMethodNotAllowed:   agent.NotConfigured,
	http.StatusRequestTimeout:     agent.UpstreamTimeout,
	http.StatusTooManyRequests:    agent.RateLimited,
	http.StatusServiceUnavailable: agent.Overloaded,
	http.StatusGatewayTimeout:     agent.UpstreamTimeout,
}

// statusError is the error for an answer that isn't 200. Upstream's own message is passed on,
// except where our sentence tells better what to do: for a bad key, and for a server that isn't
// Cursor's. body must be free of the key: call has replaced it.
func statusError(resp *http.Response, body []byte) *agent.Error {
	e := &agent.Error{
		Code:       cmp.Or(statusCodes[resp.StatusCode], agent.Upstream),
		RetryAfter: RetryAfter(resp.Header, time.Now()),
		Err:        fmt.Errorf("%s %s: %s", resp.Request.Method, resp.Request.URL.Path, resp.Status),
	}
	switch e.Code {
	// No message: the code has a sentence of its own, which tells what to do.
	case agent.InvalidKey:
	case agent.NotConfigured:
		e.Message = "Cursor's address doesn't answer as expected. Check CURSOR_BACKEND_BASE_URL and CURSOR_API_BASE."
	default:
		e.Message = messageIn(body)
		e.FromUpstream = e.Message != ""
	}
	return e
}

// messageIn finds the message in an error's body; "" when there is none. Three forms are known:
//
//	{"error":{"message":"…"}}
//	{"message":"…"}
//	{"error":"…"}
func messageIn(body []byte) string {
	var b struct {
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &b) != nil {
		return ""
	}
	if b.Message != "" {
		return b.Message
	}
	var nested struct {
		Message string `json:"message"`
	}
	var text string
	// It fails for a text, which is read next.
	if json.Unmarshal(b.Error, &nested) == nil {
		return nested.Message
	}
	_ = json.Unmarshal(b.Error, &text) // anything else says nothing
	return text
}

// longestRetryAfter bounds what RetryAfter returns. A plan's limits are counted by the month; a longer time is a mistake.
const longestRetryAfter = 31 * 24 * time.Hour

// RetryAfter reads a Retry-After header, which is a number of seconds or a date. 0 means that there is
// none, that it can't be read, or that its time has passed. Package cursorerr reads it with this, too.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	// ParseInt gives the largest number for one that is larger, beside its error.
	if seconds, err := strconv.ParseInt(v, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(max(0, seconds), int64(longestRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(0, at.Sub(now)), longestRetryAfter)
	}
	return 0
}

// transportError is the error for a request without an answer to target, which setting names. ctx tells apart a caller
// that left (Canceled), our own time limit (UpstreamTimeout) and a failed connection (Upstream).
func transportError(ctx context.Context, target *url.URL, setting string, err error) *agent.Error {
	if ctx.Err() != nil {
		return givenUp(ctx, err)
	}
	return reach.Error(target, setting, err)
}

// givenUp is the error for what ctx has ended.
func givenUp(ctx context.Context, err error) *agent.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &agent.Error{Code: agent.UpstreamTimeout, Message: "Cursor did not answer in time.", Err: err}
	}
	return &agent.Error{Code: agent.Canceled, Err: err}
}
