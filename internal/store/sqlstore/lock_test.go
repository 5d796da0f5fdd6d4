package sqlstore

import (
	"errors"
	"path/filepath"
	"testing"

	"composer-api/internal/store"
)

// A transaction that reads first and writes later would fail if another process wrote between.
func TestATransactionTakesTheLockBeforeItReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "composer.db")
	open := func(dsn string) *DB {
		db, err := Open(t.Context(), Config{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	db, other := open(path), open("file:"+path+"?_pragma=busy_timeout(0)")
	if err := other.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := db.inTx(t.Context(), func(tx *tx) error {
		var n int64
		if err := tx.row([]any{&n}, `SELECT count(*) FROM responses`); err != nil {
			return err
		}
		if err := other.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("another process writes at the same time: %v", err)
		}
		return tx.probe()
	})
	if err != nil {
		t.Error(err)
	}
}
