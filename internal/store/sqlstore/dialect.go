package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"
)

// A dialect is what differs between the two databases. Everything else in this package is the same for
// both; a difference gets a field here and not an if elsewhere.
//
// A value is made once for the program and never changed.
type dialect struct {
	// goose is the name by which the library for migrations knows the database.
	goose goose.Dialect
	dir   string // in migrations/
	// whole is the schema that the migrations add up to, as one script for a new database; "" leaves a new one to the migrations.
	whole string
	// countTables counts the tables named $1.
	countTables string
	// open makes the pools and does not connect. Both pools may be the same.
	open func(dsn string) (write, read *sql.DB, err error)
	// exists reports whether there is a database yet.
	exists func(dsn string) bool
	// create makes the database if it can be made and isn't there. It does not make tables.
	//
	// Called before the lock: for SQLite the lock lies beside the file.
	create func(dsn string) error
	// lock waits until this process alone may change the schema. The caller unlocks.
	lock func(ctx context.Context, db *sql.DB, dsn string) (unlock func(), err error)
	// clock is an SQL expression for the time by the clock that all processes on one database share, in milliseconds.
	clock func() string
	// listens says that processes can tell each other of changes by way of the database.
	listens bool
	// meaning is the error of package store that a driver's error stands for; nil when none does.
	meaning func(error) error
	// idleStale reports whether an error means that the other idle connections are most likely
	// useless, too, and should be closed.
	idleStale func(error) bool
	// retryable reports whether a transaction that failed with this error should be tried again.
	retryable func(error) bool
}

// dialectOf chooses the database by the form of dsn. A URL with another scheme is refused: as the path
// of a file it would make a folder named "mysql:" and fill it.
func dialectOf(dsn string) (*dialect, error) {
	scheme, _, isURL := strings.Cut(dsn, "://")
	switch {
	// "postgres:/…", and "host=… password=…" as psql takes it. They hold a password, which no file's name does.
	case !isURL && (strings.HasPrefix(dsn, "postgres:") || strings.HasPrefix(dsn, "postgresql:") || strings.Contains(dsn, "host=") && strings.Contains(dsn, " ")):
	case !isURL, scheme == "file":
		return &sqlite, nil
	case scheme == "postgres", scheme == "postgresql":
		return &postgres, nil
	}
	return nil, fmt.Errorf("%w: it is neither a file nor a postgres:// URL", ErrBadDSN)
}
