package chat

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/replay"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/sse"
)

// tokenOnce has one token.
type tokenOnce struct{ dropped bool }

func (a *tokenOnce) Token(context.Context, agent.Secret) (agent.Secret, error) {
	return agent.NewSecret("token"), nil
}

func (a *tokenOnce) Drop(_, _ agent.Secret) { a.dropped = true }

// The numbers and codes are cursorerr's; here it is what the chat endpoint makes of them.
func TestHowAnswersEndBadly(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		code    agent.Code
		message string
		again   bool
		dropped bool // the token
	}{
		{"a model that is not there", &connectwire.Error{Code: "not_found", Message: "No such model."}, agent.ModelNotFound, "No such model.", false, false},
		{"a limit", &connectwire.Error{Code: "resource_exhausted", Details: []connectwire.Detail{
			{Debug: []byte(`{"details":{"title":"Slow down","detail":"Try later."}}`)},
		}}, agent.RateLimited, "Slow down: Try later.", false, false},
		{"a limit of the plan", &connectwire.Error{Code: "resource_exhausted", Message: "Error", Details: []connectwire.Detail{
			{Type: "aiserver.v1.ErrorDetails", Value: []byte("\x08\x0a")},
		}}, agent.QuotaExceeded, "The usage limit of your Cursor plan is reached.", false, false},
		{"an outage", &connectwire.Error{Code: "unavailable", Message: "busy"}, agent.Overloaded, "busy", true, false},
		{"a token that has ended", &connectwire.Error{Code: "unauthenticated"}, agent.InvalidKey, (&agent.Error{Code: agent.InvalidKey}).UserMessage(), true, true},
		{"a wrong endpoint", &connectwire.Error{Code: "unimplemented"}, agent.NotConfigured, "Cursor has no such endpoint: check CURSOR_CHAT_ENDPOINT.", false, false},
		{"garbage", &connectwire.FormatError{Reason: "x"}, agent.Upstream, "The upstream service sent what can't be understood.", false, false},
		{"a line without an end", sse.ErrTooLong, agent.Upstream, "The upstream service sent what can't be understood.", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth := &tokenOnce{}
			access, err := replay.Authenticate(t.Context(), auth, agent.NewSecret("key"))
			if err != nil {
				t.Fatal(err)
			}
			err = (&answer{access: access}).fault(tt.err)
			got := agent.AsError(err)
			var f *cursorerr.Failure
			again := errors.As(err, &f) && (f.Retryable || f.BadToken)
			if got.Code != tt.code || got.UserMessage() != tt.message || again != tt.again || auth.dropped != tt.dropped {
				t.Errorf("got %v, %q, again %v, dropped %v", got.Code, got.UserMessage(), again, auth.dropped)
			}
		})
	}
}

// TestAnEndlessLineIsFetchedOnce guards against a line without an end being read again and again, up to the limit each
// time.
func TestAnEndlessLineIsFetchedOnce(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("Content-Type", "text/event-stream")
		line := bytes.Repeat([]byte("x"), 1<<20)
		for range sse.MaxEvent>>20 + 1 {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	b := New(Config{Endpoint: server.URL, Auth: &tokenOnce{}, Transport: http.DefaultTransport})
	run, err := b.Start(t.Context(), backendtest.Request("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if _, err := run.Next(t.Context()); agent.CodeOf(err) != agent.Upstream || requests != 1 {
		t.Errorf("%v after %d requests", err, requests)
	}
}
