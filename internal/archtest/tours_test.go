package archtest

import (
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// fewFiles is how many files a package may have that its comment doesn't name: so few are seen at a glance.
const fewFiles = 4

// TestThePackageCommentNamesEveryFile keeps the way into a large package: its comment says which file has what. Files for
// single systems may be named together, as in "process_*.go".
func TestThePackageCommentNamesEveryFile(t *testing.T) {
	comments := map[string]string{}
	sources := map[string][]string{}
	for _, name := range files(t) {
		data := read(t, name)
		if !strings.HasPrefix(name, "internal/") || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || data == nil || isGenerated(data) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		dir := path.Dir(name)
		comments[dir] += file.Doc.Text()
		if path.Base(name) != "doc.go" {
			sources[dir] = append(sources[dir], path.Base(name))
		}
	}
	for dir, names := range sources {
		if len(names) <= fewFiles {
			continue
		}
		for _, name := range names {
			if !namesFile(comments[dir], name) {
				t.Errorf("the comment of package %s does not say what is in %s", filepath.Base(dir), name)
			}
		}
	}
}

// namesFile reports whether a package comment names a file, by itself or with those for other systems.
func namesFile(comment, name string) bool {
	for _, word := range strings.FieldsFunc(comment, func(r rune) bool { return strings.ContainsRune(" \t\n,;:()", r) }) {
		if word = strings.TrimSuffix(word, "."); word == name {
			return true
		}
		if stem, grouped := strings.CutSuffix(word, "_*.go"); grouped && strings.HasPrefix(name, stem+"_") {
			return true
		}
	}
	return false
}
