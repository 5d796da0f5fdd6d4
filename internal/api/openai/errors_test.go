package openai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/golden"
)

// TestErrorTable compares every code's answer with testdata/errors.txt, which reads like the table in the
// specification.
func TestErrorTable(t *testing.T) {
	var table strings.Builder
	for _, code := range agent.Codes() {
		rec := httptest.NewRecorder()
		openai.WriteError(rec, &agent.Error{Code: code})
		fmt.Fprintf(&table, "%s\n  %d", code, rec.Code)
		h := rec.Result().Header
		for _, name := range slices.Sorted(maps.Keys(h)) {
			fmt.Fprintf(&table, " | %s: %s", strings.ToLower(name), h.Get(name))
		}
		fmt.Fprintf(&table, "\n  %s", rec.Body)
	}
	golden.File(t, "testdata/errors.txt", table.String())
}

func TestEveryErrorHasAllFourKeys(t *testing.T) {
	for _, code := range agent.Codes() {
		var body struct {
			Error map[string]any `json:"error"`
		}
		if err := json.Unmarshal(openai.AppendError(nil, &agent.Error{Code: code}), &body); err != nil {
			t.Fatal(err)
		}
		keys := slices.Sorted(maps.Keys(body.Error))
		if want := []string{"code", "message", "param", "type"}; !slices.Equal(keys, want) || body.Error["message"] == "" {
			t.Errorf("%v: %v", code, body.Error)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		err  agent.Error
		want string
	}{
		{agent.Error{Code: agent.RateLimited, RetryAfter: 1200 * time.Millisecond}, "2"},
		{agent.Error{Code: agent.Overloaded, RetryAfter: time.Nanosecond}, "1"},
		{agent.Error{Code: agent.QuotaExceeded, RetryAfter: time.Hour}, "3600"},
		{agent.Error{Code: agent.QuotaExceeded}, ""},
		{agent.Error{Code: agent.Upstream, RetryAfter: time.Hour}, "3600"},
		{agent.Error{Code: agent.Upstream}, ""},
		{agent.Error{Code: agent.InvalidKey, RetryAfter: time.Hour}, ""},
	} {
		rec := httptest.NewRecorder()
		openai.WriteError(rec, &test.err)
		if got := rec.Header().Get("Retry-After"); got != test.want {
			t.Errorf("%v: Retry-After %q, want %q", test.err, got, test.want)
		}
	}
}

// TestAFinalErrorTellsClientsNotToRetry guards against retries that multiply: ours, times the SDK's, times an agent's.
func TestAFinalErrorTellsClientsNotToRetry(t *testing.T) {
	for _, test := range []struct {
		err  agent.Error
		want string
	}{
		{agent.Error{Code: agent.Upstream}, ""},
		{agent.Error{Code: agent.Upstream, Final: true}, "false"},
		{agent.Error{Code: agent.Overloaded, Final: true, RetryAfter: time.Second}, "false"},
		{agent.Error{Code: agent.InvalidKey}, "false"},
	} {
		rec := httptest.NewRecorder()
		openai.WriteError(rec, fmt.Errorf("wrapped: %w", &test.err))
		if got := rec.Header().Get("X-Should-Retry"); got != test.want {
			t.Errorf("%v: X-Should-Retry %q, want %q", test.err, got, test.want)
		}
	}
}

func TestOurOwnFaultSaysNothingOfTheInside(t *testing.T) {
	for _, err := range []error{
		errors.New("secret"), fmt.Errorf("wrapped: %w", &agent.Error{Code: agent.Internal, Message: "secret"}),
		&agent.Error{Code: agent.Upstream, Err: errors.New("secret")},
	} {
		rec := httptest.NewRecorder()
		openai.WriteError(rec, err)
		if bytes.Contains(rec.Body.Bytes(), []byte("secret")) {
			t.Errorf("%v: %s", err, rec.Body)
		}
	}
}

func TestMessageOfUpstreamIsPassedOn(t *testing.T) {
	rec := httptest.NewRecorder()
	openai.WriteError(rec, &agent.Error{Code: agent.PermissionDenied, Message: "Your account is blocked.", FromUpstream: true})
	if !strings.Contains(rec.Body.String(), "Your account is blocked.") {
		t.Error(rec.Body)
	}
}
