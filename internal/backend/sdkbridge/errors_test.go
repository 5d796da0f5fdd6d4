package sdkbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/sdkv1"
	"composer-api/internal/golden"
)

// resultMessages are what the bridge of cursor-sdk 1.1.0 was seen to say of a run that ended badly, with what upstream had
// said before.
var resultMessages = []struct{ upstream, message string }{
	{"details 7, not retryable", "Oh dear. Try later."},
	{"details 9, not retryable", "Usage limit You hit it."},
	{"details 44, not retryable", "Payment required Please add a payment method."},
	{"details 1", "Bad key. x"},
	{"unauthenticated", "[unauthenticated] the access token is not valid"},
	{"permission_denied", "[permission_denied] no\nand no"},
	{"unavailable", "[unavailable] try later"},
	{"internal", "[internal] boom"},
	{"resource_exhausted", "[resource_exhausted] slow down"},
	{"not_found", "[not_found] nope"},
	{"unimplemented", "[unimplemented] nope"},
	{"failed_precondition", "[failed_precondition] nope"},
	{"invalid_argument", "[invalid_argument] nope"},
	{"invalid_argument with details", "[invalid_argument] Error"},
	{"failed_precondition with details", "[failed_precondition] Error"},
	{"unavailable with details, retryable", "[unavailable] Error"},
	{"deadline_exceeded", "[deadline_exceeded] slow"},
	{"unknown", "[unknown] hm"},
	{"HTTP 401", "[unauthenticated] HTTP 401"},
	{"HTTP 402", "[unknown] HTTP 402"},
	{"HTTP 403", "[permission_denied] HTTP 403"},
	{"HTTP 404", "[unimplemented] HTTP 404"},
	{"HTTP 429", "[unavailable] HTTP 429"},
	{"HTTP 500", "[unknown] HTTP 500"},
	{"HTTP 503", "[unavailable] HTTP 503"},
	{"no protobuf", "[internal] parse binary: illegal tag: field no 0 wire type 7"},
	{"no gzip", "[unknown] [invalid_argument] decompression failed"},
	{"no connection", "Network request failed"},
	{"nothing", ""},
}

// callErrors are the errors of unary calls, and of streams that broke or did not begin.
var callErrors = []struct {
	what string
	err  error
}{
	{"CreateAgent, bad key", &connectwire.Error{Code: "unauthenticated", Message: "bad key"}},
	{"CreateAgent, unknown model", &connectwire.Error{Code: "invalid_argument", Message: "Cannot use this model: x. Available models: composer-2.5"}},
	{"CreateAgent, no connection", &connectwire.Error{Code: "internal", Message: "Network request failed"}},
	{"CreateAgent, no callback set", &connectwire.Error{Code: "failed_precondition", Message: "local.custom_tools requires a host tool callback server"}},
	{"Send, image by URL", &connectwire.Error{Code: "invalid_argument", Message: "URL images are only supported for cloud-routed agents"}},
	{"Send, busy", &connectwire.Error{Code: "internal", Message: "Agent agent-1 already has active run"}},
	{"Send, unknown agent", &connectwire.Error{Code: "not_found", Message: "Unknown agent: agent-1"}},
	{"CancelRun, unknown run", &connectwire.Error{Code: "invalid_argument", Message: "Run run-1 not found"}},
	{"any call, wrong token", &connectwire.Error{Code: "unauthenticated", Message: "Unauthorized"}},
	{"our time-out", context.DeadlineExceeded},
	{"the client has left", context.Canceled},
	{"a stream that broke", io.ErrUnexpectedEOF},
	{"a bridge that has gone", errors.New("dial tcp 127.0.0.1:1: connect: connection refused")},
	{"an error of ours", &agent.Error{Code: agent.Overloaded}},
}

// TestWhatErrorsMean compares the whole mapping with testdata/errors.txt.
func TestWhatErrorsMean(t *testing.T) {
	var b strings.Builder
	line := func(what, said string, e *agent.Error, notes ...string) {
		if e.Final {
			notes = append(notes, "final")
		}
		if e.FromUpstream {
			notes = append(notes, "upstream's words")
		}
		fmt.Fprintf(&b, "%s: %q\n\t%s: %s [%s]\n", what, said, e.Code, e.UserMessage(), strings.Join(notes, ", "))
	}
	b.WriteString("# The end of a run: what upstream said: what the bridge makes of it\n#\twhat the client is told\n")
	for _, m := range resultMessages {
		line(m.upstream, m.message, resultError(&sdkv1.RunResult{Status: sdkv1.StatusError, ErrorMessage: m.message}))
	}
	for _, status := range []string{sdkv1.StatusCancelled, sdkv1.StatusExpired} {
		line(status, "", resultError(&sdkv1.RunResult{Status: status}))
	}
	b.WriteString("\n# Calls\n")
	for _, c := range callErrors {
		f := failed(c.err)
		var notes []string
		if f.Retryable {
			notes = append(notes, "tried again")
		}
		if f.BadToken {
			t.Errorf("%s asks for a new access token, which is the bridge's business", c.what)
		}
		line(c.what, c.err.Error(), f.Err, notes...)
	}
	golden.File(t, "testdata/errors.txt", b.String())
}
