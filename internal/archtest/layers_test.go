package archtest

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// quoted is what stands between backquotes.
var quoted = regexp.MustCompile("`([^`]+)`")

// The table of layers in AGENTS.md is where a newcomer looks first. A package is named in it by its path below internal, or,
// beside the package that it lies in, by the last part of that: "`gateway`, with `control` …".
func TestTheTableOfLayersNamesEveryPackageAndNothingElse(t *testing.T) {
	_, table, found := strings.Cut(string(read(t, "AGENTS.md")), "\n## Layers\n")
	table, _, ends := strings.Cut(table, "\n## ")
	if !found || !ends {
		t.Fatal("AGENTS.md has no section Layers")
	}
	var named []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
				named = append(named, m[1])
			}
		}
	}
	packages := load(t, filepath.Join(root, "internal"))
	for name := range packages {
		if !slices.Contains(named, name) && !slices.Contains(named, path.Base(name)) {
			t.Errorf("the table of layers in AGENTS.md does not name %s", name)
		}
	}
	for _, name := range named {
		_, whole := packages[name]
		isPart := func() bool {
			for p := range packages {
				if path.Base(p) == name {
					return true
				}
			}
			return false
		}
		// "docs/" and "POST /sdk" are no packages.
		if !whole && !isPart() && !strings.HasSuffix(name, "/") && !strings.Contains(name, " ") {
			t.Errorf("the table of layers in AGENTS.md names %s, which is no package", name)
		}
	}
}
