package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	system "github.com/zalando/go-keyring"

	"composer-api/internal/cli"
)

// withInput is run with something on standard input.
func withInput(t *testing.T, environ []string, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	code = cli.Main(t.Context(), args, environ, strings.NewReader(input), &out, &errs)
	return out.String(), errs.String(), code
}

// TestTheKeyringsKey is put in, found by the commands, goes behind a variable and a file, and is taken out; nothing prints it.
func TestTheKeyringsKey(t *testing.T) {
	system.MockInit() // the library keeps its provider in a variable: this test is not parallel
	cursor := keyed(t)
	state := t.TempDir()
	environ := []string{"XDG_STATE_HOME=" + state, "CURSOR_API_BASE=" + cursor.URL}
	want := func(environ []string, code int, text string, input string, args ...string) {
		t.Helper()
		out, errs, got := withInput(t, environ, input, args...)
		if got != code || !strings.Contains(out+errs, text) {
			t.Errorf("%v: %d, want %d with %q:\n%s%s", args, got, code, text, out, errs)
		}
		if strings.Contains(out+errs, "crsr_") {
			t.Errorf("%v prints the key:\n%s%s", args, out, errs)
		}
	}
	want(environ, 1, "there is no Cursor key", "", "cursor-key", "source")
	want(environ, 1, "there is no key", "", "cursor-key", "set")
	want(environ, 1, "has a blank or a line break in it", "export CURSOR_API_KEY=x\n", "cursor-key", "set")
	want(environ, 1, "local token", "composer-abc\n", "cursor-key", "set")
	want(environ, 0, "is in the system's keyring", "crsr_good\n", "cursor-key", "set")
	want(environ, 0, "the system's keyring", "", "cursor-key", "source")
	want(environ, 0, "composer-2.5", "", "models")
	want(append(environ, "CURSOR_API_KEY=crsr_other"), 0, "environment", "", "cursor-key", "source")
	want(append(environ, "CURSOR_API_KEY=crsr_other"), 0, "goes before it", "crsr_good", "cursor-key", "set")
	file := filepath.Join(state, "composer-api", "cursor-key")
	if err := os.WriteFile(file, []byte("crsr_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(environ, 0, file, "", "cursor-key", "source")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}

	// Somebody has removed it in the keyring's own program, or it is locked: a server must not start without a word.
	system.MockInitWithError(errors.New("it is locked"))
	want(environ, 2, "it is locked", "", "cursor-key", "source")
	want(environ, 2, "cursor-key delete", "", "models")
	want(environ, 1, "it is locked", "", "cursor-key", "delete")
	system.MockInit()
	want(environ, 2, "holds no key", "", "cursor-key", "source")
	want(environ, 0, "no longer in the keyring", "", "cursor-key", "delete")
	want(environ, 0, "there is none", "", "cursor-key", "delete")
	want(environ, 1, "there is no Cursor key", "", "cursor-key", "source")
}
