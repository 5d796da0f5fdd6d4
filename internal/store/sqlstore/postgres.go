package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"composer-api/internal/store"
)

// PostgreSQL: several processes on several machines may share it. What is particular to it: pools of
// connections that may break, servers that turn read-only after a failover, and poolers in between.

// The pool, unless the URL says otherwise with pgxpool's parameters of these names.
const (
	// pool_max_conns is how many connections one process opens at most. A stock server takes 100 in all.
	maxConnections = 10
	// idleConnections is how many of them are kept while nobody uses them.
	//
	// So that a burst of requests finds its connections open.
	idleConnections = maxConnections
	// minConnections are needed while the schema changes: one holds the lock, another changes.
	minConnections = 2
	// pool_max_conn_lifetime is when a connection is replaced, so that after a failover or a change of addresses no
	// old one stays.
	connectionLifetime = 15 * time.Minute
	// pool_max_conn_idle_time is when a connection that nobody uses is closed.
	connectionIdleTime = 5 * time.Minute
)

// connect_timeout, unless the URL says otherwise: how long one host may take. Where the URL names several, the next one's turn
// must come within the time of a call of the store (store/bounded, 3 s), also when a host drops every packet. A host that is
// only slow gets more at the next attempt: see connector.go.
const connectTime, connectTimeOfMany = 5 * time.Second, time.Second

// postgres is the dialect of PostgreSQL.
var postgres = dialect{
	goose:       goose.DialectPostgres,
	dir:         "postgres",
	countTables: `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1`,
	open:        openPostgres,
	exists:      func(string) bool { return true },
	create:      func(string) error { return nil }, // that is for whoever runs the server
	lock:        lockPostgres,
	clock:       func() string { return `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)` },
	listens:     true,
	meaning:     postgresMeaning,
	idleStale:   postgresIdleStale,
	retryable:   postgresRetryable,
}

// openPostgres makes one pool for reading and writing. It does not connect: a server that can't be
// reached shows at the first use. What the operator's URL says goes before our defaults.
func openPostgres(dsn string) (write, read *sql.DB, err error) {
	cfg, pool, err := postgresConfig(dsn)
	if err != nil {
		return nil, nil, err
	}
	// Behind a pooler a connection of the pool may get notices that were asked for by another; pgx would keep them.
	cfg.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
	db := sql.OpenDB(pgxConnector(cfg, pool.hostTime))
	db.SetMaxOpenConns(pool.connections)
	db.SetMaxIdleConns(idleConnections)
	db.SetConnMaxLifetime(pool.lifetime)
	db.SetConnMaxIdleTime(pool.idleTime)
	return db, db, nil
}

// pgxConnector opens connections as cfg says. most is how long a host may take when it was too slow before.
func pgxConnector(cfg *pgx.ConnConfig, most time.Duration) *connector {
	type hostTime struct{} // the key of its value in a context
	under := stdlib.GetConnector(*cfg, stdlib.OptionBeforeConnect(func(ctx context.Context, cfg *pgx.ConnConfig) error {
		cfg.ConnectTimeout, _ = ctx.Value(hostTime{}).(time.Duration)
		return nil
	}))
	return newConnector(under, cfg.ConnectTimeout, most, func(ctx context.Context, perHost time.Duration) (driver.Conn, error) {
		return under.Connect(context.WithValue(ctx, hostTime{}, perHost))
	})
}

// postgresConfig is how a connection to dsn is made, and the options of the pool. Errors are ErrBadDSN.
func postgresConfig(dsn string) (*pgx.ConnConfig, pool, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		// pgx leaves the password out of this error.
		return nil, pool{}, fmt.Errorf("%w: %w", ErrBadDSN, err)
	}
	options, err := poolOptions(cfg.RuntimeParams)
	if err != nil {
		return nil, pool{}, fmt.Errorf("%w: %w", ErrBadDSN, err)
	}
	options.hostTime = cfg.ConnectTimeout
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout, options.hostTime = connectTime, maxHostTime
		if slices.ContainsFunc(cfg.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.Host != cfg.Host || f.Port != cfg.Port }) {
			cfg.ConnectTimeout, options.hostTime = connectTimeOfMany, maxHostTimeOfMany
		}
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "composer-api"
	}
	cfg.DialFunc = (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext
	// pgx asks it after each error of the server.
	cfg.OnPgError = keepConnection
	return cfg, options, nil
}

// keepAlive finds out within about twenty seconds (10 s, then three probes 3 s apart) that a silent
// server is gone, also for idle connections in the pool.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3}

// keepConnection reports whether a connection may be used again after an error of the server; pgx closes
// it otherwise. A connection to a server that only reads (the primary of before a failover), or that is
// about to stop, may not: a new one may lead to the new primary.
func keepConnection(_ *pgconn.PgConn, e *pgconn.PgError) bool {
	if cannotServe(e) {
		return false
	}
	return !strings.EqualFold(e.SeverityUnlocalized, "FATAL") && !strings.EqualFold(e.Severity, "FATAL")
}

// cannotServe reports whether a server that answers so can't be written to, now or ever.
func cannotServe(e *pgconn.PgError) bool {
	switch e.Code {
	case "25006", "57P01", "57P02", "57P03": // read_only_sql_transaction, admin_shutdown, crash_shutdown, cannot_connect_now
		return true
	}
	return false
}

// postgresIdleStale is true for a connection that broke, or leads to a server that can't serve: most
// likely the idle ones lead to the same place. Any other answer of the server says that it is well.
func postgresIdleStale(err error) bool {
	var e *pgconn.PgError
	return !errors.As(err, &e) || cannotServe(e)
}

// A pool is the pool's size and the ages at which connections are replaced.
//
// It is what the URL says, or our defaults.
type pool struct {
	// connections is the most that there are at once; lifetime and idleTime are when one is closed.
	connections        int
	lifetime, idleTime time.Duration
	hostTime           time.Duration // what a host may take when it was too slow before; what the URL says is never exceeded
}

// poolOptions removes the pool's options from the parameters of the URL, and returns them. What is left
// in params goes to the server, which would refuse ours. An error names the option and not the URL, which holds the password.
func poolOptions(params map[string]string) (p pool, err error) {
	p = pool{connections: maxConnections, lifetime: connectionLifetime, idleTime: connectionIdleTime}
	// Only the first error is kept; all of ours are taken out all the same.
	take := func(name string, parse func(string) error) {
		value, ok := params[name]
		delete(params, name)
		if !ok || err != nil {
			return
		}
		if parseErr := parse(value); parseErr != nil {
			err = fmt.Errorf("%s: %w", name, parseErr)
		}
	}
	duration := func(d *time.Duration) func(string) error {
		return func(value string) (err error) {
			if *d, err = time.ParseDuration(value); err == nil && *d <= 0 {
				err = errors.New("it must be more than nothing")
			}
			return err
		}
	}
	// The names are pgxpool's, so that an operator finds them in its documentation.
	take("pool_max_conns", func(value string) (err error) {
		if p.connections, err = strconv.Atoi(value); err == nil && p.connections < minConnections {
			err = fmt.Errorf("it must be at least %d", minConnections)
		}
		return err
	})
	take("pool_max_conn_lifetime", duration(&p.lifetime))
	take("pool_max_conn_idle_time", duration(&p.idleTime))
	return p, err
}

// migrationLock is the advisory lock that a process holds while it changes the schema. The number means
// nothing, but must never change: an old and a new binary have to use the same one.
const migrationLock = 0x636f6d706f736572 // "composer"

// lockEvery is how often a process tries to get the lock that another one holds.
const lockEvery = 100 * time.Millisecond

// lockPostgres holds an advisory lock in a transaction of its own, which does nothing else: migrations
// run on other connections, each in its own transaction. Unlocking is rolling it back.
//
// Two simpler ways don't work behind a pooler of transactions (PgBouncer). A lock of the session does
// not, because there a session is on another connection with each transaction. Waiting for the lock
// inside the server does not, because whoever waits takes a connection of the pooler from the one that
// migrates; so we ask again every lockEvery. If we die, the server releases the lock.
func lockPostgres(ctx context.Context, db *sql.DB, _ string) (func(), error) {
	// Between two tries it holds no connection of the pool.
	for {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return nil, err
		}
		var got bool
		err = tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(migrationLock)).Scan(&got)
		if err == nil && got {
			return func() { tx.Rollback() }, nil
		}
		tx.Rollback()
		if err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockEvery):
		}
	}
}

// postgresMeanings maps whole codes and classes (the first two characters) of SQLSTATE. A code
// that isn't here is a fault of ours: a statement that the server refuses.
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

// postgresMeaning gives an error the meaning that package store knows: first by its whole code, then by
// its class.
//
// nil means that the caller gets the driver's error as it is, which counts as a fault of ours.
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

// postgresRetryable is true for a transaction that the server rolled back because of another one: a
// serialisation failure (40001) or a deadlock (40P01).
func postgresRetryable(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}
