package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestUsualFormsOfTheCommandLine(t *testing.T) {
	for given, want := range map[string]string{
		"--version": "version", "help": "--help", "help serve": "serve --help", "serve --demo": "serve --demo",
	} {
		if got := normalizeArgs(strings.Fields(given)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s is taken for %v, want %s", given, got, want)
		}
	}
}
