// Package golden is for tests that compare what they got with a file in testdata, and rewrite the file
// when the test runs with -update (make golden). Only tests import it: it defines that flag.
//
// A case is a txtar file: a comment that says why it is there, what goes in, and what must come out.
//
//	A stop sequence ends the text before it.
//	-- request --
//	{"stop":"END"}
//	-- answer --
//	data: {"choices":…}
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// update is the flag -update of the test binary.
var update = flag.Bool("update", false, "rewrite the golden files")

// Updating says whether -update is set. It is for tests whose files only they can rewrite.
func Updating() bool { return *update }

// File compares got with the file at path. With -update it writes the file instead, so the test passes
// and the diff is for a person to read.
func File(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; make golden rewrites it)\n%s", path, diff)
	}
}

// A Case is a txtar file being played. It belongs to one test and its goroutine.
type Case struct {
	// Files are the sections. A test may read them; WantAt and Want write them.
	Files []txtar.File

	// comment is what stands before the first section. It is kept as it is.
	comment []byte
}

// Cases runs play as a subtest for each file that matches the pattern, and fails if there is none, so
// that a wrong pattern is not a test that passes. With -update it writes the file when play returns;
// after a t.Fatal it doesn't, so a case that broke in the middle loses nothing.
func Cases(t *testing.T, pattern string, play func(*testing.T, *Case)) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases match %s: %v", pattern, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// play changes the files of the case where -update is to change them.
			c := &Case{Files: archive.Files, comment: archive.Comment}
			play(t, c)
			if !*update {
				return
			}
			if err := os.WriteFile(path, txtar.Format(&txtar.Archive{Comment: c.comment, Files: c.Files}), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Section is the text of the first section of that name, "" if there is none.
func (c *Case) Section(name string) string {
	if i := c.index(name); i >= 0 {
		return string(c.Files[i].Data)
	}
	return ""
}

// Want compares got with the first section of that name. A section that is missing counts as empty;
// -update adds it at the end.
func (c *Case) Want(t testing.TB, name, got string) {
	t.Helper()
	i := c.index(name)
	if i < 0 {
		i = len(c.Files)
		c.Files = append(c.Files, txtar.File{Name: name})
	}
	c.WantAt(t, i, got)
}

// WantAt compares got with Files[i], for cases in which several sections have the same name.
func (c *Case) WantAt(t testing.TB, i int, got string) {
	t.Helper()
	if *update {
		c.Files[i].Data = []byte(got)
		return
	}
	if diff := cmp.Diff(string(c.Files[i].Data), got); diff != "" {
		t.Errorf("%s (-want +got; make golden rewrites it)\n%s", c.Files[i].Name, diff)
	}
}

// index is the place of the first section of that name; -1 if there is none.
func (c *Case) index(name string) int {
	for i, f := range c.Files {
		if f.Name == name {
			return i
		}
	}
	return -1
}
