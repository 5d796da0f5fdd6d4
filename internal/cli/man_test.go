package cli_test

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"composer-api/internal/cli"
	"composer-api/internal/golden"
)

// TestTheManualPageIsThatOfTheCommands writes docs/composer-api.1, which packages install, or compares it with the tree of
// commands.
func TestTheManualPageIsThatOfTheCommands(t *testing.T) {
	var page bytes.Buffer
	if code := cli.Main(t.Context(), []string{"man"}, nil, strings.NewReader(""), &page, io.Discard); code != 0 {
		t.Fatalf("code %d", code)
	}
	golden.File(t, "../../docs/composer-api.1", page.String())
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("mandoc, which could find mistakes in it, is not installed")
	}
	check := exec.CommandContext(t.Context(), mandoc, "-T", "lint", "-W", "error")
	check.Stdin = &page
	if said, err := check.CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, said)
	}
}
