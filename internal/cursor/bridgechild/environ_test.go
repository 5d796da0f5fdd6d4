package bridgechild

import (
	"slices"
	"strings"
	"testing"
)

// TestTheChildSeesItsOwnFolderOnly: whatever a child may take for its home or for a place of temporary files lies in its
// private folder, and nothing of our environment is passed on that it could do without.
func TestTheChildSeesItsOwnFolderOnly(t *testing.T) {
	ours := func(name string) string { return "our " + name }
	for goos, homes := range map[string][]string{
		"linux": {"HOME", "TMPDIR"}, "darwin": {"HOME", "TMPDIR"},
		"windows": {"HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP"},
	} {
		var own, passed []string
		for _, variable := range private(goos, "private home", "private temp", ours) {
			name, value, _ := strings.Cut(variable, "=")
			if strings.HasPrefix(value, "private ") {
				own = append(own, name)
			}
			if strings.Contains(value, "our ") {
				passed = append(passed, name)
			}
		}
		if slices.Sort(own); !slices.Equal(own, slices.Sorted(slices.Values(homes))) {
			t.Errorf("%s: its own are %v", goos, own)
		}
		if want := map[string][]string{"windows": {"SystemRoot", "PATH"}}[goos]; !slices.Equal(passed, want) {
			t.Errorf("%s passes on %v", goos, passed)
		}
	}
}
