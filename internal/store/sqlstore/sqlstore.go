// Package sqlstore keeps the store in SQLite (a file, for one machine) or PostgreSQL (for several replicas).
//
// It is one implementation: the statements are the same for both, and what differs (how a database is opened, locked
// while its schema changes, and what its error codes mean) stands in dialect.go, sqlite.go and postgres.go. The schema
// is in migrations/, once for each.
//
// SQLite is used with a write-ahead log and full synchronisation, so that what has been acknowledged survives the loss
// of power, with one connection that writes and a few that only read.
//
// Every use goes through the same steps:
//
//	ready       the schema is up to date, or is brought up to date now
//	bind        our types become the drivers': milliseconds, bytes, text without NUL
//	statement   a read outside of any transaction, or a transaction on the writing pool
//	failure     the driver's error becomes one of package store's
//
// Rows that have expired are as good as gone from then on: every statement compares expires with Config.Now. Sweep only frees
// their space.
//
//	sqlstore.go    opening, closing, sweeping, and what an error means
//	connector.go   connections, opened in the background
//	statement.go   transactions, statements, and types on their way in and out
//	evict.go       keeping an owner within the limits
//	migrate.go     the schema
//	dialect.go     what differs between the databases; sqlite.go, postgres.go
//	notices.go     telling those who wait for a change, in this process and by PostgreSQL in others
//	accounts.go, invitations.go, attempts.go, requestlogs.go, keyusage.go, sessions.go, parked.go, audit.go, responses.go, conversations.go, documents.go: the tables
//	import.go      rows brought over from the reference system's database
package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/notice"
)

// Config says which database to open, and how.
type Config struct {
	// DSN is a path of an SQLite file, a "file:" URI of one, or a "postgres://" URL. A missing SQLite
	// file is made, readable by the user alone, in a folder that exists. [Memory] makes one without a
	// file. In the URI and the URL, options of the driver may follow a "?".
	//
	// For PostgreSQL these are libpq's (several hosts and target_session_attrs=read-write follow a
	// failover), pgx's (default_query_exec_mode=exec for PgBouncer in transaction mode) and, named as
	// in pgxpool, pool_max_conns, pool_max_conn_lifetime and pool_max_conn_idle_time.
	DSN string
	// Limits bound what is kept.
	Limits store.Limits
	// AllowUnavailable makes Open succeed while the database is unavailable: every use tries again, at
	// most once in retryEvery, and fails with store.ErrUnavailable until then. A server that starts
	// together with its database needs it.
	AllowUnavailable bool
	// Listen is the URL of the same PostgreSQL database by which notices come, when they don't by DSN because a pooler of
	// transactions (PgBouncer) is in between; "" is DSN.
	Listen string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Log gets that notices don't come, or come again. Nil discards it.
	Log *slog.Logger
}

// ErrFolder: Config.DSN names a folder, and not a file for SQLite. It wraps store.ErrUnavailable.
var ErrFolder = fmt.Errorf("%w: it is a folder, and no file", store.ErrUnavailable)

// ErrBadDSN: Config.DSN names no database. The error never holds the password.
var ErrBadDSN = errors.New("the database's URL can't be read")

// A DB is a store.Store on an SQL database. All its state but schema is set by connect and not changed
// afterwards; the pools have their own locks.
//
//	            SQLite                               PostgreSQL
//	write       one connection, which transactions   the pool
//	            wait for in order
//	read        a few, which never wait for it       the same pool
type DB struct {
	// dialect has what differs between the two databases; it is &sqlite or &postgres.
	dialect *dialect
	// dsn is Config.DSN. It may hold a password, and is never in an error.
	dsn   string
	write *sql.DB // the only one with transactions
	read  *sql.DB // the same as write on PostgreSQL
	// anchor is a connection that nobody uses: a database in memory lives as long as one is open. Nil for others.
	anchor *sql.Conn
	// limits and now are Config's, with the defaults filled in.
	limits store.Limits
	now    func() time.Time
	// schema brings the tables up to date at the first use. It has a lock of its own.
	schema schema
	hub    notice.Hub // those who wait in this process
	wire   *wire      // between the processes; nil when there is none to listen on, as for SQLite
}

// A method that is missing fails the build here, and not in internal/cli.
var _ store.Store = (*DB)(nil)

// Open connects, brings the schema up to date, and returns the store, which the caller closes. Any number of processes
// may open one database at once: one changes the schema, the others wait.
//
// Errors: [ErrBadDSN]; [ErrNewerSchema]; unless cfg.AllowUnavailable, store.ErrUnavailable when the database can't be reached or
// written.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	db, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	err = db.ready(ctx)
	if cfg.AllowUnavailable && errors.Is(err, store.ErrUnavailable) {
		err = nil
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// connect makes the pools without touching the database. The caller closes what it returns.
//
// The schema is not looked at; ready does that at the first use.
func connect(cfg Config) (*DB, error) {
	d, err := dialectOf(cfg.DSN)
	if err != nil {
		return nil, err
	}
	write, read, err := d.open(cfg.DSN)
	if err != nil {
		return nil, err
	}
	db := &DB{dialect: d, dsn: cfg.DSN, write: write, read: read, limits: cfg.Limits.WithDefaults(), now: cfg.Now}
	if db.now == nil {
		db.now = time.Now
	}
	if d.listens {
		listen := cmp.Or(cfg.Listen, cfg.DSN)
		if db.wire, err = newWire(listen, db, cfg.Log); err != nil {
			return nil, errors.Join(err, write.Close())
		}
	}
	// The context of a migration is not that of the call that began it: others wait for it, too.
	db.schema.turn = make(chan struct{}, 1)
	db.schema.ctx, db.schema.stop = context.WithCancel(context.Background())
	if d == &sqlite && splitSQLite(cfg.DSN).inMemory() {
		db.hub.SetComplete(true) // nobody else can write
		if db.anchor, err = read.Conn(context.Background()); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

// Ping implements store.Store. It writes, because a server that answers may be one that only reads: a
// standby after a failover.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.ready(ctx); err != nil {
		return err
	}
	return db.inTx(ctx, (*tx).probe)
}

// Writable reports whether the database at dsn, which exists, can be written now: it takes the lock for writing, and gives it
// back. It changes nothing and leaves the schema as it is. Errors are those of Open.
func Writable(ctx context.Context, dsn string) error {
	db, err := connect(Config{DSN: dsn})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.tryTx(ctx, (*tx).probe)
}

// Close implements store.Store. It waits for a migration that is going on, because the pools can't be
// closed under it.
func (db *DB) Close() error {
	// The order: the migration, then notices, which use the pool, then the pools.
	db.schema.end()
	if db.wire != nil {
		db.wire.close()
	}
	var err error
	if db.anchor != nil {
		err = db.anchor.Close()
	}
	err = errors.Join(err, db.write.Close())
	if db.read != db.write {
		err = errors.Join(err, db.read.Close())
	}
	return err
}

// Sweep implements store.Sweeper. Each table is its own transaction, so that nobody waits long for a
// lock. It returns what it has deleted so far also with an error. Replicas may sweep at the same time.
func (db *DB) Sweep(ctx context.Context) (int64, error) {
	now := db.now()
	var total int64
	for _, s := range []struct {
		statement string
		before    time.Time
	}{
		{`DELETE FROM sessions WHERE expires <= $1`, now},
		{`DELETE FROM responses WHERE expires <= $1`, now},
		{`DELETE FROM conversations WHERE expires <= $1`, now},
		{`DELETE FROM documents WHERE expires <= $1`, now},
		{`DELETE FROM request_logs WHERE created <= $1`, now.Add(-db.limits.LogAge)},
		{`DELETE FROM parked_calls WHERE expires <= $1`, now},
		{`DELETE FROM audit WHERE at <= $1`, now.Add(-store.AuditAge)},
		{`DELETE FROM key_days WHERE day <= $1`, now.Add(-spentAge)},
		{`DELETE FROM invitations WHERE expires <= $1`, now.Add(-store.InvitationAge)},
		{`DELETE FROM attempts WHERE expires <= $1`, now},
		{`DELETE FROM runners WHERE expires <= $1`, now.Add(-runnerAge)},
	} {
		n, err := db.exec(ctx, s.statement, s.before)
		if err != nil {
			return total, err
		}
		total += n
	}
	// They tell nothing to anybody, and so don't count.
	if _, err := db.exec(ctx, `DELETE FROM replicas WHERE lease_until <= `+db.dialect.clock()); err != nil {
		return total, err
	}
	n, err := db.sweepHidden(ctx)
	return total + n, err
}

// failure gives a database's error the meaning that package store promises. Every error of a driver goes
// through it exactly once; it also decides whether the idle connections are closed.
//
// When ctx has ended, its error comes first, whatever the driver made of it: drivers report an ended
// context in many forms.
//
//	err                                   returned
//	nil                                   nil
//	no row                                store.ErrNotFound
//	has a meaning of package store        as it is
//	anything, and ctx has ended           ctx's error
//	anything else                         what the dialect says that it means, around the driver's error
func (db *DB) failure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case isStoreError(err):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w (%v)", context.Cause(ctx), err)
	}
	if db.dialect.idleStale(err) {
		// Else each of them would have to fail once: at the next uses, one after the other.
		// Setting the maximum to 0 closes all idle connections.
		db.write.SetMaxIdleConns(0)
		db.write.SetMaxIdleConns(idleConnections)
	}
	if kind := db.dialect.meaning(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return fmt.Errorf("store: %w", err)
}

// isStoreError reports whether err has its meaning already.
func isStoreError(err error) bool {
	for _, kind := range []error{store.ErrNotFound, store.ErrConflict, store.ErrTooLarge, store.ErrUnavailable} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
