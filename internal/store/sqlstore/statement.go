package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"composer-api/internal/store"
)

// How statements are run: in a transaction or without, with our types turned into the drivers'
// and their errors into those of package store. Nothing outside of this file talks to
// database/sql but the code that opens, migrates and locks.

// A tx is a transaction that is going on. Its errors already mean what package store promises. It is
// used by one goroutine, inside inTx's f, and not kept.
type tx struct {
	db *DB
	// ctx is that of inTx. When it ends, database/sql rolls sql back.
	ctx context.Context
	sql *sql.Tx
}

// tries is how often a transaction is tried that the server rolls back because of another one.
const tries = 5

// inTx runs f in a transaction and commits it if f returns nil. f may run more than once, so it has to
// reset what it fills in. f must use only its tx: on SQLite there is one writing connection, and the DB's
// own methods would wait for it for ever. Errors are those of package store, f's own, or ctx's. An error of the commit may come
// although the server has committed: callers who can't tell must be able to do the same again.
func (db *DB) inTx(ctx context.Context, f func(*tx) error) error {
	if err := db.ready(ctx); err != nil {
		return err
	}
	// Without a pause: the server has let the transaction through that was in the way.
	for try := 1; ; try++ {
		err := db.tryTx(ctx, f)
		if err == nil || try == tries || !db.dialect.retryable(err) {
			return err
		}
	}
}

// tryTx runs f in one transaction, once.
func (db *DB) tryTx(ctx context.Context, f func(*tx) error) error {
	// The end of ctx rolls the transaction back, whatever f is doing.
	sqlTx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return db.failure(ctx, err)
	}
	if err := f(&tx{db: db, ctx: ctx, sql: sqlTx}); err != nil {
		sqlTx.Rollback() // what went wrong first is what counts
		return err
	}
	return db.failure(ctx, sqlTx.Commit())
}

// exec runs a statement and returns how many rows it changed.
//
// args are bound as bind says; $1 is the first.
func (t *tx) exec(statement string, args ...any) (int64, error) {
	result, err := t.sql.ExecContext(t.ctx, statement, bind(args)...)
	if err != nil {
		return 0, t.db.failure(t.ctx, err)
	}
	n, err := result.RowsAffected()
	return n, t.db.failure(t.ctx, err)
}

// probe fails when nothing can be written. Its statement changes no row, but PostgreSQL refuses it all
// the same where only reading is allowed; SQLite's transactions begin with the lock for writing.
func (t *tx) probe() error {
	_, err := t.exec(`UPDATE responses SET runner = runner WHERE 1 = 0`)
	return err
}

// exec1 runs a statement that changes one row. store.ErrNotFound when it changed none.
func (t *tx) exec1(statement string, args ...any) error {
	n, err := t.exec(statement, args...)
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	return err
}

// row runs a statement that returns one row, and scans it into dest. store.ErrNotFound when it
// returned none. QueryRow reads one row and drops the rest; no statement here returns more.
func (t *tx) row(dest []any, statement string, args ...any) error {
	return t.db.failure(t.ctx, t.sql.QueryRowContext(t.ctx, statement, bind(args)...).Scan(dest...))
}

// exec runs one statement as a transaction.
//
// It must not be called within inTx.
func (db *DB) exec(ctx context.Context, statement string, args ...any) (n int64, err error) {
	err = db.inTx(ctx, func(t *tx) error {
		n, err = t.exec(statement, args...)
		return err
	})
	return n, err
}

// exec1 runs one statement that changes one row, as a transaction. store.ErrNotFound when it changed
// none.
func (db *DB) exec1(ctx context.Context, statement string, args ...any) error {
	return db.inTx(ctx, func(t *tx) error { return t.exec1(statement, args...) })
}

// row reads one row into dest, outside of any transaction. store.ErrNotFound when there is none.
//
// It reads what is committed, which may be older than a transaction that is going on.
func (db *DB) row(ctx context.Context, dest []any, statement string, args ...any) error {
	if err := db.ready(ctx); err != nil {
		return err
	}
	return db.failure(ctx, db.read.QueryRowContext(ctx, statement, bind(args)...).Scan(dest...))
}

// queryAll reads rows, outside of any transaction. fields returns where the columns of a row go. The
// statement has a LIMIT, because everything is read into memory.
//
// No rows is a nil slice and no error.
func queryAll[T any](ctx context.Context, db *DB, fields func(*T) []any, statement string, args ...any) ([]T, error) {
	if err := db.ready(ctx); err != nil {
		return nil, err
	}
	// The pool's connection is given back by rows.Close.
	rows, err := db.read.QueryContext(ctx, statement, bind(args)...)
	if err != nil {
		return nil, db.failure(ctx, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		// A new one each time, so that no row shares bytes with another.
		var row T
		if err := rows.Scan(fields(&row)...); err != nil {
			return nil, db.failure(ctx, err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		return nil, db.failure(ctx, err)
	}
	return all, nil
}

// bind turns our types into those that both drivers take: times and durations into milliseconds, hashes
// into bytes, text into text that PostgreSQL accepts.
func bind(args []any) []any {
	bound := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			bound[i] = text(v)
		case time.Time:
			bound[i] = millis(v)
		case time.Duration:
			bound[i] = v.Milliseconds()
		case [32]byte:
			bound[i] = v[:]
		case []byte:
			if v == nil {
				v = []byte{} // no column takes NULL
			}
			bound[i] = v
		default:
			bound[i] = v
		}
	}
	return bound
}

// text makes s acceptable for PostgreSQL, whose text has neither NUL nor invalid UTF-8. SQLite would take
// anything, but both must behave alike.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// millis is a time as it is stored: milliseconds since 1970, and 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// asTime scans milliseconds into a time.
type asTime struct{ *time.Time }

// Scan implements sql.Scanner. 0 leaves the zero time.
func (a asTime) Scan(src any) error {
	// UTC, so that times read back compare equal on every machine.
	ms, err := scanInt(src)
	if err == nil && ms != 0 {
		*a.Time = time.UnixMilli(ms).UTC()
	}
	return err
}

// asDuration scans milliseconds into a duration.
type asDuration struct{ *time.Duration }

// Scan implements sql.Scanner.
func (a asDuration) Scan(src any) error {
	ms, err := scanInt(src)
	*a.Duration = time.Duration(ms) * time.Millisecond
	return err
}

// scanInt takes the integer that both drivers return for an integer column.
func scanInt(src any) (int64, error) {
	// A NULL is nil, and an error here: no column that is scanned so may hold one.
	n, ok := src.(int64)
	if !ok {
		return 0, fmt.Errorf("a number was expected, not %T", src)
	}
	return n, nil
}

// asHash scans 32 bytes.
type asHash struct{ hash *[32]byte }

// Scan implements sql.Scanner.
func (a asHash) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != 32 {
		return fmt.Errorf("32 bytes were expected, not %d of %T", len(b), src)
	}
	*a.hash = [32]byte(b)
	return nil
}

// recovered makes an error of a panic. It is deferred.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("sqlstore: panic: %v\n%s", p, debug.Stack())
	}
}
