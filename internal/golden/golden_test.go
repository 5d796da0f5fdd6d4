package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A recorder notes what would have failed a test.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

const before = "Why it is there.\n-- in --\na\n-- out --\nA\n-- in --\nb\n-- out --\nB\n"

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "case.txtar")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%v: the file holds\n%s\nwant\n%s", err, got, want)
	}
}

func set(t *testing.T, updating bool) {
	old := *update
	*update = updating
	t.Cleanup(func() { *update = old })
}

func TestADifferenceFailsAndLeavesTheFile(t *testing.T) {
	set(t, false)
	path := write(t, before)
	r := &recorder{TB: t}
	Cases(t, path, func(t *testing.T, c *Case) {
		if got := c.Section("in") + c.Section("nothing"); got != "a\n" {
			t.Errorf("sections: %q", got)
		}
		c.Want(r, "out", "A\n")
		c.WantAt(r, 3, "B\n")
		if len(r.failures) != 0 {
			t.Errorf("what is equal failed: %q", r.failures)
		}
		c.Want(r, "out", "other\n")
		c.WantAt(r, 3, "other\n")
		c.Want(r, "new", "text\n")
	})
	File(r, path, before)
	File(r, path, "other")
	if len(r.failures) != 4 {
		t.Errorf("%d failures, want 4: %q", len(r.failures), r.failures)
	}
	for _, f := range r.failures {
		if !strings.Contains(f, "-want +got") {
			t.Errorf("not a diff: %s", f)
		}
	}
	holds(t, path, before)
}

func TestUpdateRewritesInPlace(t *testing.T) {
	set(t, true)
	path := write(t, before)
	Cases(t, path, func(t *testing.T, c *Case) {
		c.Want(t, "new", "text\n")
		c.WantAt(t, 3, "BB\n")
		c.Want(t, "out", "AA\n")
	})
	holds(t, path, "Why it is there.\n-- in --\na\n-- out --\nAA\n-- in --\nb\n-- out --\nBB\n-- new --\ntext\n")
	File(t, path, "plain")
	holds(t, path, "plain")
}

func TestUpdateKeepsTheFileOfASkippedCase(t *testing.T) {
	set(t, true)
	path := write(t, before)
	Cases(t, path, func(t *testing.T, c *Case) {
		c.Want(t, "out", "AA\n")
		t.SkipNow() // leaves as t.Fatal does
	})
	holds(t, path, before)
}
