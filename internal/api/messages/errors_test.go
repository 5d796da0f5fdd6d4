package messages_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/known"
	"composer-api/internal/api/messages"
	"composer-api/internal/golden"
)

// TestErrorTable compares every code's answer with testdata/errors.txt, which reads like the table in the
// specification.
func TestErrorTable(t *testing.T) {
	var table strings.Builder
	for _, code := range agent.Codes() {
		rec := httptest.NewRecorder()
		messages.WriteError(rec, &agent.Error{Code: code})
		fmt.Fprintf(&table, "%s\n  %d", code, rec.Code)
		h := rec.Result().Header
		for _, name := range slices.Sorted(maps.Keys(h)) {
			fmt.Fprintf(&table, " | %s: %s", strings.ToLower(name), h.Get(name))
		}
		fmt.Fprintf(&table, "\n  %s", rec.Body)
		if rec.Code != messages.Status(code) {
			t.Errorf("%s: the request log says %d", code, messages.Status(code))
		}
	}
	golden.File(t, "testdata/errors.txt", table.String())
}

func TestAnErrorSaysWhereAndWhen(t *testing.T) {
	for _, test := range []struct {
		err                   agent.Error
		message, after, retry string
	}{
		// The body has no place for the field, so the sentence names it.
		{agent.Error{Code: agent.InvalidValue, Param: "tools[0].name", Message: "It is taken."}, "tools[0].name: It is taken.", "", "false"},
		{agent.Error{Code: agent.InvalidValue, Param: "model", Message: "There is no 'model'."}, "There is no 'model'.", "", "false"},
		{agent.Error{Code: agent.ContextTooLong, Message: "It has 300000 tokens."}, "prompt is too long: It has 300000 tokens.", "", "false"},
		{agent.Error{Code: agent.Internal, Message: "the disk /dev/sda is full"}, "Something went wrong on our side. Please try again.", "", ""},
		{agent.Error{Code: agent.Overloaded, Message: "Busy.", RetryAfter: 1200 * time.Millisecond}, "Busy.", "2", ""},
		{agent.Error{Code: agent.Upstream, Message: "It broke.", Final: true}, "It broke.", "", "false"},
	} {
		rec := httptest.NewRecorder()
		messages.WriteError(rec, &test.err)
		var body struct{ Error struct{ Message string } }
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		h := rec.Header()
		if body.Error.Message != test.message || h.Get("Retry-After") != test.after || h.Get("X-Should-Retry") != test.retry {
			t.Errorf("%v: %q, retry-after %q, x-should-retry %q", test.err, body.Error.Message, h.Get("Retry-After"), h.Get("X-Should-Retry"))
		}
	}
}

// The tool runners of Anthropic's SDKs try a thread first, and go on without one when an error has these details.
func TestAThreadIsRefusedSoThatToolRunnersGoOnWithout(t *testing.T) {
	_, err := messages.Decode([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"thread":{"type":"create"}}`), known.Sender{})
	rec := httptest.NewRecorder()
	messages.WriteError(rec, err)
	if rec.Code != 400 || !strings.Contains(rec.Body.String(), `"details":{"error_code":"thread_unsupported_request","unsupported":["thread"]}}}`) {
		t.Errorf("status %d: %s", rec.Code, rec.Body)
	}
}

func TestWhoExpectsAnthropicsErrors(t *testing.T) {
	form := messages.ErrorForm()
	for _, test := range []struct {
		path, version string
		want          bool
	}{
		{"/v1/messages", "", true},
		{"/u/acct_1/v1/messages", "", true},
		{"/v1/v1/messages", "", true},
		{"/v1/messages/batches", "", true},
		{"/v1/models", "2023-06-01", true},
		{"/v1/models", "", false},
		{"/v1/chat/completions", "", false},
		{"/v1/messages-of-others", "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", test.path, nil)
		if test.version != "" {
			r.Header.Set("Anthropic-Version", test.version)
		}
		if got := form.Fits(r); got != test.want {
			t.Errorf("%s %q: %v", test.path, test.version, got)
		}
	}
}
