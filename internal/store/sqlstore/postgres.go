package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"composer-api/internal/store"
)

// connections is how many connections one process opens to PostgreSQL at most. A stock server takes 100 in all.
const connections = 10

var postgres = dialect{
	goose:       goose.DialectPostgres,
	dir:         "postgres",
	countTables: `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1`,
	open:        openPostgres,
	exists:      func(string) bool { return true },
	create:      func(string) error { return nil }, // that is for whoever runs the server
	lock:        lockPostgres,
	clock:       func() string { return `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)` },
	meaning:     postgresMeaning,
	again:       postgresAgain,
}

func openPostgres(dsn string) (write, read *sql.DB, err error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		// pgx leaves the password out of this error.
		return nil, nil, fmt.Errorf("%w: %w", ErrBadDSN, err)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "composer-api"
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, db, nil
}

// migrationLock is the advisory lock that a process holds while it changes the schema. The number means nothing, but
// must never change.
const migrationLock = 0x636f6d706f736572 // "composer"

// lockPostgres holds an advisory lock on a connection of its own. The server lets go of it if we die.
func lockPostgres(ctx context.Context, db *sql.DB, _ string) (func(), error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		conn.Close()
		return nil, err
	}
	return func() {
		// ctx may have ended, and the lock must go all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(migrationLock))
		conn.Close()
	}, nil
}

// postgresMeanings maps whole codes and classes (the first two characters) of SQLSTATE.
var postgresMeanings = map[string]error{
	"23505": store.ErrConflict,    // unique_violation
	"23503": store.ErrNotFound,    // foreign_key_violation
	"25006": store.ErrUnavailable, // read_only_sql_transaction: a standby, or default_transaction_read_only
	"54000": store.ErrTooLarge,    // program_limit_exceeded
	"40":    store.ErrUnavailable, // serialisation or deadlock, after our own tries
	"08":    store.ErrUnavailable, // connection
	"28":    store.ErrUnavailable, // the server does not let us in
	"3D":    store.ErrUnavailable, // the database does not exist
	"53":    store.ErrUnavailable, // disk full, too many connections
	"55":    store.ErrUnavailable, // lock not available
	"57":    store.ErrUnavailable, // shutting down
	"58":    store.ErrUnavailable, // I/O error
	"XX":    store.ErrUnavailable, // corrupted
}

func postgresMeaning(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return store.ErrUnavailable // not the server's answer, so we didn't get one
	}
	if kind, ok := postgresMeanings[e.Code]; ok {
		return kind
	}
	if len(e.Code) < 2 {
		return nil
	}
	return postgresMeanings[e.Code[:2]]
}

// postgresAgain is true for a transaction that the server undid because of another one.
func postgresAgain(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}
