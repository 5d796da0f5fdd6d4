package api_test

import (
	"slices"
	"testing"

	"composer-api/internal/api"
)

func TestTypesThatNobodyHasPublishedAreOnlyCounted(t *testing.T) {
	published := func(name string) bool { return name == "b" || name == "a" }
	got := api.LoggedTypes([]string{"b", "my_secret", "a", "b", "hunter2"}, published)
	if want := []string{"a", "b", "2 others"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
