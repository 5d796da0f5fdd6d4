// Package golden is for tests that compare what they got with what a file of testdata says, and rewrite the file when the
// test runs with -update. Only tests import it: it defines that flag.
//
// A case is a txtar file: a comment that says why it is there, what goes in, and what must come out.
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

var update = flag.Bool("update", false, "rewrite the golden files")

// Updating says whether -update is set. It is for tests whose files only they can rewrite.
func Updating() bool { return *update }

// File compares got with the file at path.
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

// A Case is a txtar file. It belongs to the test that it was given to.
type Case struct {
	// Files are the sections. A test may read them; WantAt and Want write them.
	Files []txtar.File

	comment []byte
}

// Cases runs play as a subtest for each file that matches the pattern, and fails if there is none. With -update it
// writes the file when play returns; after a t.Fatal it doesn't.
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

// Want compares got with the first section of that name. One that isn't there is empty; -update adds it at the end.
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

func (c *Case) index(name string) int {
	for i, f := range c.Files {
		if f.Name == name {
			return i
		}
	}
	return -1
}
