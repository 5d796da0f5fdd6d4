package sdkbridge

import (
	"context"
	"errors"
	"io"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/sdkv1"
)

// What the bridge of cursor-sdk 1.1.0 was seen to say when a run ends badly.
func TestWhatTheErrorOfARunMeans(t *testing.T) {
	for _, tc := range []struct {
		message string
		code    agent.Code
		text    string
	}{
		{"[unauthenticated] the access token is not valid", agent.InvalidKey, ""},
		{"[unavailable] try later", agent.Overloaded, "try later"},
		{"[resource_exhausted] slow down", agent.RateLimited, "slow down"},
		{"[internal] boom", agent.Upstream, "boom"},
		{"[invalid_argument] Error", agent.InvalidValue, "Cursor refused the request and did not say why. Another model or a shorter conversation may help."},
		{"[permission_denied] no\nand no", agent.PermissionDenied, "no\nand no"},
		{"Usage limit reached. You have used all of your plan.", agent.QuotaExceeded, "Usage limit reached. You have used all of your plan."},
		{"Oh dear. Try later.", agent.Upstream, "Oh dear. Try later."},
		{"Network request failed", agent.Overloaded, "Network request failed"},
		{"", agent.Upstream, ""},
	} {
		e := resultError(&sdkv1.RunResult{Status: sdkv1.StatusError, ErrorMessage: tc.message})
		if e.Code != tc.code || tc.text != "" && e.UserMessage() != tc.text || e.UserMessage() == "" {
			t.Errorf("%q became %v with %q, want %v with %q", tc.message, e.Code, e.UserMessage(), tc.code, tc.text)
		}
	}
}

func TestWhatTheErrorOfACallMeans(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code agent.Code
	}{
		{&connectwire.Error{Code: "unauthenticated", Message: "bad key"}, agent.InvalidKey},
		{&connectwire.Error{Code: "invalid_argument", Message: "Cannot use this model: x. Available models: …"}, agent.ModelNotFound},
		{&connectwire.Error{Code: "internal", Message: "Network request failed"}, agent.Overloaded},
		{context.DeadlineExceeded, agent.UpstreamTimeout},
		{context.Canceled, agent.Canceled},
		{io.ErrUnexpectedEOF, agent.Upstream},
		{&agent.Error{Code: agent.Overloaded}, agent.Overloaded},
		{errors.New("dial tcp"), agent.Upstream},
	} {
		if e := callError(tc.err); e.Code != tc.code || e.UserMessage() == "" {
			t.Errorf("%v became %v with %q, want %v", tc.err, e.Code, e.UserMessage(), tc.code)
		}
	}
	if busy := callError(&connectwire.Error{Code: "internal", Message: "Agent agent-1 already has active run"}); !isBusy(busy) {
		t.Errorf("%v is not taken for busy", busy)
	}
}
