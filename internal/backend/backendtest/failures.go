package backendtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

// The exam's cases about runs that fail or are ended from outside. An error may come
// from Start or from Next: when a backend learns of it is upstream's affair, so the
// cases accept both.

// failed is the error of a run that must fail, from Start or Next. A run that ends well fails
// the test. What came before the error is in the Turn.
//
// The message of the error is what a user would read, so the cases look at it as well as at the
// code.
func (e exam) failed(t *testing.T, b agent.Backend) (Turn, *agent.Error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	run, err := b.Start(ctx, Request("hello"))
	var turn Turn
	if err == nil {
		defer run.Close()
		turn, err = Collect(ctx, run)
	}
	var coded *agent.Error
	if !errors.As(err, &coded) {
		t.Fatalf("got %v, want an *agent.Error", err)
	}
	return turn, coded
}

// errors: the code decides the client's status, and upstream's sentence reaches the user.
// Codes are Connect's, because that is what Cursor's services answer with.
func (e exam) errors(t *testing.T) {
	if e.features.NoErrorCodes {
		t.Skip("upstream's codes don't reach this backend")
	}
	for connect, want := range map[string]agent.Code{
		"permission_denied":  agent.PermissionDenied,
		"resource_exhausted": agent.RateLimited,
		"unauthenticated":    agent.InvalidKey,
	} {
		b := e.backend(t, "turn always\nerror "+connect+" retryable=false title=\"Oh dear.\" Try later.\n")
		if _, err := e.failed(t, b); err.Code != want || !err.FromUpstream || !strings.Contains(err.UserMessage(), "Try later.") {
			t.Errorf("%s became %v (from upstream: %v), want %v", connect, err, err.FromUpstream, want)
		}
	}
}

// lateError: what came before the error is not lost, and the error holds no key.
//
// The key is the exam's own: no error may show it, whatever upstream says.
func (e exam) lateError(t *testing.T) {
	b := e.backend(t, "turn always\ntext It begins.\nerror permission_denied retryable=false Enough.\n")
	turn, err := e.failed(t, b)
	wantText(t, turn.Text, "It begins.")
	if strings.Contains(err.UserMessage(), "crsr_exam") {
		t.Errorf("the key is in %q", err.UserMessage())
	}
}

// closeUnblocks: Close may be called beside Next, and more than once.
//
// The script holds the run open, so that Next waits when Close is called. Which of the two
// goroutines is first doesn't matter: Next has to end in both cases.
func (e exam) closeUnblocks(t *testing.T) {
	b := e.backend(t, "turn always\ntext It begins.\nhold\n")
	run := e.run(t, b, Request("hello"))
	if ev, err := run.Next(t.Context()); err != nil || ev.Kind != agent.Text {
		t.Fatalf("first: %+v, %v", ev, err)
	}
	failed := make(chan error)
	go func() {
		_, err := run.Next(t.Context())
		failed <- err
	}()
	go run.Close()
	if err := <-failed; err == nil {
		t.Error("Next found something to say")
	}
	if err := run.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// contextEnds: Next returns its context's own error, and not one of upstream.
//
// The run itself goes on: the end of a context is not the end of a run.
func (e exam) contextEnds(t *testing.T) {
	b := e.backend(t, "turn always\ntext It begins.\nhold\n")
	run := e.run(t, b, Request("hello"))
	if _, err := run.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := run.Next(ctx)
		failed <- err
	}()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
