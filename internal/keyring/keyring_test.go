package keyring_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	system "github.com/zalando/go-keyring"

	"composer-api/internal/agent"
	"composer-api/internal/keyring"
)

// The library keeps its provider in a variable, so these tests don't run side by side.

func TestAKeyIsKeptAndTakenOut(t *testing.T) {
	system.MockInit()
	dir := t.TempDir() + "/state"
	if keyring.Marked(dir) {
		t.Error("there is a mark before anything was put in")
	}
	for _, key := range []string{"crsr_first", "crsr_second"} {
		if err := keyring.Set(t.Context(), dir, agent.NewSecret(key)); err != nil {
			t.Fatal(err)
		}
		if got, err := keyring.Get(t.Context()); err != nil || got.Reveal() != key || !keyring.Marked(dir) {
			t.Errorf("%v, %v; marked: %v", got, err, keyring.Marked(dir))
		}
	}
	for range 2 {
		if err := keyring.Delete(t.Context(), dir); err != nil || keyring.Marked(dir) {
			t.Errorf("%v; marked: %v", err, keyring.Marked(dir))
		}
	}
	if _, err := keyring.Get(t.Context()); !errors.Is(err, keyring.ErrNotFound) {
		t.Error(err)
	}
}

// TestWithoutAKeyringNothingIsMarked, as on a server.
func TestWithoutAKeyringNothingIsMarked(t *testing.T) {
	none := errors.New("there is no Secret Service")
	system.MockInitWithError(none)
	dir := t.TempDir()
	if err := keyring.Set(t.Context(), dir, agent.NewSecret("crsr_x")); !errors.Is(err, none) || keyring.Marked(dir) {
		t.Errorf("%v; marked: %v", err, keyring.Marked(dir))
	}
}

// TestALockedKeyringIsGivenUp after its time, or with the command.
func TestALockedKeyringIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := keyring.Within(ctx, func() (string, error) { <-ctx.Done(); return "crsr_late", nil })
		if err == nil || !strings.Contains(err.Error(), "may be locked") {
			t.Error(err)
		}
		cancel()
	})
}

// TestAPanicOfTheLibraryIsAnError: it runs in a goroutine of ours.
func TestAPanicOfTheLibraryIsAnError(t *testing.T) {
	if _, err := keyring.Within(t.Context(), func() (string, error) { panic("no bus") }); err == nil || !strings.Contains(err.Error(), "no bus") {
		t.Error(err)
	}
}
