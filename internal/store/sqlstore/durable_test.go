package sqlstore

import (
	"path/filepath"
	"testing"
)

// Migrations don't wait for the disk; what comes after them does, as the pragmas or the operator say.
func TestWhatIsWrittenAfterTheMigrationsIsOnTheDisk(t *testing.T) {
	const full, off = 2, 0
	for options, want := range map[string]int{"": full, "?_pragma=synchronous(OFF)": off} {
		db, err := Open(t.Context(), Config{DSN: "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "c.db")) + options})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var got int
		if err := db.write.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&got); err != nil || got != want {
			t.Errorf("%q: synchronous is %d, %v; want %d", options, got, err, want)
		}
	}
}
