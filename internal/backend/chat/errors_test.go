package chat

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/oneshot"
	"composer-api/internal/connectwire"
)

func TestEndErrors(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		want          agent.Code
		message       string
		upstream      bool
		again         bool
	}{
		{"title and detail", `{"error":{"code":"resource_exhausted","message":"Error","details":[{"debug":{"details":{"title":"Slow down","detail":"Try later."}}}]}}`,
			agent.RateLimited, "Slow down: Try later.", true, false},
		{"title and detail in bytes", `{"error":{"code":"resource_exhausted","message":"Error","details":[{"type":"aiserver.v1.ErrorDetails","value":"EhQKCVNsb3cgZG93bhIHTGF0ZXIuIQ"}]}}`,
			agent.RateLimited, "Slow down: Later.!", true, false},
		{"a title alone", `{"error":{"code":"internal","details":[{"debug":{"details":{"title":"Oh no."}}}]}}`, agent.Upstream, "Oh no.", true, true},
		{"only a message", `{"error":{"message":"It broke."}}`, agent.Upstream, "It broke.", true, true},
		{"nothing at all", `{"error":{}}`, agent.Upstream, "The upstream service failed.", false, true},
		{"a bad key", `{"error":{"code":"unauthenticated","message":"nope"}}`, agent.InvalidKey, "The API key is not valid. Create one in the Cursor dashboard under Integrations.", false, true},
		{"a bad key with a reason", `{"error":{"code":"unauthenticated","details":[{"debug":{"details":{"title":"Expired.","detail":"Sign in."}}}]}}`, agent.InvalidKey, "Expired. Sign in.", true, true},
		{"an outage", `{"error":{"code":"unavailable","message":"busy"}}`, agent.Overloaded, "busy", true, true},
		{"a wrong endpoint", `{"error":{"code":"unimplemented","message":"no"}}`, agent.NotConfigured, "The upstream service has no such endpoint. Check CURSOR_CHAT_ENDPOINT.", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := connectwire.ParseError(http.StatusOK, []byte(inner(c.payload)))
			err := passing(endError(x), func(e *agent.Error) error {
				if e.Code == agent.InvalidKey {
					return &oneshot.Retry{Err: e, AtOnce: true}
				}
				return e
			})
			got := agent.AsError(err)
			var retry *oneshot.Retry
			if got.Code != c.want || got.UserMessage() != c.message || got.FromUpstream != c.upstream || errors.As(err, &retry) != c.again {
				t.Errorf("got %v, %q, from upstream %v, again %v", got.Code, got.UserMessage(), got.FromUpstream, errors.As(err, &retry))
			}
		})
	}
}

// inner takes the error out of an end frame's payload.
func inner(payload string) string { return payload[len(`{"error":`) : len(payload)-1] }

func TestStatusErrors(t *testing.T) {
	for status, want := range map[int]agent.Code{
		401: agent.InvalidKey, 402: agent.PaymentRequired, 403: agent.PermissionDenied, 404: agent.NotConfigured,
		413: agent.ContextTooLong, 429: agent.RateLimited, 500: agent.Upstream, 502: agent.Overloaded, 503: agent.Overloaded, 504: agent.UpstreamTimeout,
	} {
		resp := &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Retry-After": {"7"}}}
		if got := statusError(resp, []byte("<html>")); got.Code != want || got.RetryAfter != 7*time.Second {
			t.Errorf("%d is %v after %v, want %v", status, got, got.RetryAfter, want)
		}
	}
}
