package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/rogpeppe/go-internal/lockedfile"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"composer-api/internal/store"
)

// SQLite: a file on this machine. A process has one writing connection and a few that read; with the
// write-ahead log the readers never wait for the writer. Several processes of one machine may share the
// file: SQLite's own locks keep them apart.

// readers is how many connections read at once. Each keeps a page cache of up to 2 MB.
const readers = 4

// pragmas are set on every connection, before those of the DSN. An operator's own, in the DSN,
// come later and so win.
var pragmas = []string{
	"busy_timeout(10000)", // how long a writer waits for another process's transaction
	"foreign_keys(1)",
	"synchronous(FULL)", // an acknowledged write is on the disk, not only in the kernel
	"secure_delete(1)",  // what a user deletes is overwritten
}

// sqlite is the dialect of SQLite, in the version that is part of this program.
var sqlite = dialect{
	goose:       goose.DialectSQLite3,
	dir:         "sqlite",
	whole:       wholeSQLite,
	countTables: `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1`,
	open:        openSQLite,
	exists:      func(dsn string) bool { return splitSQLite(dsn).exists() },
	create:      func(dsn string) error { return splitSQLite(dsn).create() },
	lock:        lockSQLite,
	// The processes on one file are on one machine.
	clock:     func() string { return strconv.FormatInt(time.Now().UnixMilli(), 10) },
	meaning:   sqliteMeaning,
	idleStale: func(error) bool { return false },
	retryable: func(error) bool { return false }, // transactions take the write lock at once, so they can't collide
}

// openSQLite makes two pools on one file: one connection that writes and a few that only read. Neither
// touches the file yet. _txlock=immediate makes every transaction take the lock for writing when it
// begins, and not in the middle, where SQLite could only fail.
func openSQLite(dsn string) (write, read *sql.DB, err error) {
	// sql.Open opens nothing yet, so a failure of the second leaves only a pool to be closed.
	file := splitSQLite(dsn)
	write, err = sql.Open("sqlite", file.dsn("_txlock=immediate"))
	if err != nil {
		return nil, nil, fmt.Errorf("the SQLite database: %w", err)
	}
	// One writer in a process: the others wait in Go, in order, and not in SQLite's polling.
	write.SetMaxOpenConns(1)
	// query_only is a guard against our own mistakes: a write by way of this pool fails.
	read, err = sql.Open("sqlite", file.dsn("_pragma=query_only(1)"))
	if err != nil {
		write.Close()
		return nil, nil, fmt.Errorf("the SQLite database: %w", err)
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return write, read, nil
}

// A sqliteFile is a parsed DSN. path is without escapes; options are as they were written.
type sqliteFile struct{ path, options string }

// splitSQLite takes a path as it is, and undoes the escapes of a "file:" URI. The options behind the "?"
// are the driver's.
//
//	data/composer.db                path data/composer.db
//	file:data/composer.db?mode=rw   the same, options mode=rw
//	file:/my%20data/c.db            path /my data/c.db
func splitSQLite(dsn string) sqliteFile {
	rest, isURI := strings.CutPrefix(dsn, "file:")
	if !isURI {
		return sqliteFile{path: dsn}
	}
	path, options, _ := strings.Cut(rest, "?")
	// The empty host of "file:///path".
	path = strings.TrimPrefix(path, "//")
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	if volume := strings.TrimPrefix(path, "/"); filepath.VolumeName(volume) != "" {
		path = volume // file:///C:/… on Windows
	}
	return sqliteFile{path: path, options: options}
}

// inMemory names SQLite's own file system in memory. What it holds is shared by the connections of this process that
// name the same path, and is gone when the last of them is closed.
const inMemory = "vfs=memdb"

// Memory is the DSN of a new database in memory, which no other call returns.
func Memory() string { return "file:/" + rand.Text() + "?" + inMemory }

// inMemory reports whether the database is one of Memory's.
func (f sqliteFile) inMemory() bool { return f.options == inMemory }

// File is the path of the SQLite file that dsn names; ok is false when it names something else.
func File(dsn string) (path string, ok bool) {
	if d, err := dialectOf(dsn); err != nil || d != &sqlite {
		return "", false
	}
	file := splitSQLite(dsn)
	return file.path, !file.inMemory()
}

// isFolder reports whether there is a folder at path.
//
// A link to a folder is one.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// exists reports whether there is a database; a file of any content counts. A database in
// memory always exists.
func (f sqliteFile) exists() bool {
	if f.inMemory() {
		return true
	}
	_, err := os.Stat(f.path)
	return err == nil
}

// create makes an empty file with mode 0600 before SQLite does, because SQLite would make it
// readable for everybody. The log and the index beside it get the file's mode from SQLite. A
// missing folder is not made: its name is more likely mistyped. It may be called for a file
// that exists, which it leaves alone.
func (f sqliteFile) create() error {
	if !f.inMemory() && isFolder(f.path) {
		return ErrFolder
	}
	if f.exists() {
		return nil
	}
	// SQLite's own error would be "unable to open database file", and name neither.
	if dir := filepath.Dir(f.path); !isFolder(dir) {
		return fmt.Errorf("%w: there is no folder %s", store.ErrUnavailable, dir)
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return file.Close()
}

// dsn is the driver's DSN: the path as a URI, our option, the pragmas, and then the operator's options.
func (f sqliteFile) dsn(option string) string {
	options := []string{option}
	for _, p := range pragmas {
		options = append(options, "_pragma="+p)
	}
	if f.options != "" {
		options = append(options, f.options)
	}
	path := filepath.ToSlash(f.path)
	if filepath.VolumeName(f.path) != "" {
		path = "///" + path // file:///C:/…
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.Join(options, "&")
}

// lockSQLite locks a file beside the database (its name and ".lock"), which stays there. A transaction
// can't be the lock, because the migrations run on the only writing connection. Under the lock it also
// turns on the write-ahead log: the mode is remembered in the file, and two processes must not try to
// switch it at once.
func lockSQLite(ctx context.Context, db *sql.DB, dsn string) (func(), error) {
	file := splitSQLite(dsn)
	if file.inMemory() {
		return func() {}, nil // nobody else knows it
	}
	lock, err := lockedfile.OpenFile(file.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	// The system releases the lock also when the process dies.
	unlock := func() { lock.Close() }
	// A migration that a power failure undoes is applied again at the next start. Until all are applied nothing waits for the disk,
	// which a new database would do twice for each. The connection is the only one that writes, and an operator may have chosen
	// for it in the DSN.
	var chosen int
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&chosen); err != nil {
		unlock()
		return nil, err
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA journal_mode = WAL; PRAGMA synchronous = %d", min(chosen, synchronousNormal))); err != nil {
		unlock()
		return nil, err
	}
	return func() {
		// It fails only with the connection, and the next one is what the DSN says.
		db.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA synchronous = %d", chosen))
		unlock()
	}, nil
}

// synchronousNormal is SQLite's number for a log that waits for the disk only when it is moved into the database.
const synchronousNormal = 1

// sqliteMeanings maps SQLite's primary result codes, which are the low byte of the extended
// ones. What isn't here keeps the driver's error, and is a failure of ours.
var sqliteMeanings = map[int]error{
	lib.SQLITE_FULL:     store.ErrUnavailable,
	lib.SQLITE_READONLY: store.ErrUnavailable,
	lib.SQLITE_IOERR:    store.ErrUnavailable,
	lib.SQLITE_CANTOPEN: store.ErrUnavailable,
	lib.SQLITE_BUSY:     store.ErrUnavailable,
	lib.SQLITE_LOCKED:   store.ErrUnavailable,
	lib.SQLITE_PROTOCOL: store.ErrUnavailable, // the log's locks are contended
	lib.SQLITE_CORRUPT:  store.ErrUnavailable,
	lib.SQLITE_NOTADB:   store.ErrUnavailable,
	lib.SQLITE_PERM:     store.ErrUnavailable,
	lib.SQLITE_NOMEM:    store.ErrUnavailable,
	lib.SQLITE_TOOBIG:   store.ErrTooLarge,
}

// sqliteMeaning gives an error the meaning that package store knows. Violated constraints are told apart
// by their extended code.
func sqliteMeaning(err error) error {
	var e *driver.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code() {
	case lib.SQLITE_CONSTRAINT_PRIMARYKEY, lib.SQLITE_CONSTRAINT_UNIQUE:
		return store.ErrConflict
	case lib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return store.ErrNotFound
	}
	// nil for a code that isn't in the table.
	return sqliteMeanings[e.Code()&0xff]
}
