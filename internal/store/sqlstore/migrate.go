package sqlstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
)

// The schema: which steps there are, which a database has, and applying the rest. goose runs the steps;
// what is around it (the lock, looking without changing anything, refusing a newer schema) is ours.
//
//	Open          applies them, or with AllowUnavailable leaves it to the first use (ready)
//	MigrateUp     applies them, for 'migrate up'
//	MigrateStatus lists them, for 'migrate status'

// migrations holds the schema, as one folder of SQL files for each database. A file that was released
// is never changed; the next change is a new file, and 'make golden' brings wholeSQLite up to date.
//
//go:embed migrations
var migrations embed.FS

// wholeSQLite is what SQLite's migrations add up to, with what goose would have written down about them, as one script. The tests
// write it (make golden) from a database to which all migrations were applied, and hold that both ways give the same.
//
//go:embed whole_sqlite.sql
var wholeSQLite string

// versionTable is where the database remembers which migrations have been applied. goose writes it.
const versionTable = "composer_api_schema"

// ErrNewerSchema: the database was changed by a newer composer-api, and this one might damage it.
var ErrNewerSchema = errors.New("the database's schema is newer than this composer-api")

// A Migration is one step of the schema. Steps are applied in the order of their versions, each in a transaction of its own, and
// never undone.
type Migration struct {
	Version int64
	Name    string    // its file's name
	Applied time.Time // zero while it is pending
}

// MigrateUp brings the schema of the database at dsn up to date, as Open does, and returns the migrations that it
// applied now. Errors as of Open.
//
// It keeps no connection afterwards.
func MigrateUp(ctx context.Context, dsn string) ([]Migration, error) {
	db, err := connect(Config{DSN: dsn})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return db.migrate(ctx)
}

// MigrateStatus lists every migration that this binary knows, oldest first, and changes nothing. A newer schema is
// ErrNewerSchema, together with the list.
func MigrateStatus(ctx context.Context, dsn string) ([]Migration, error) {
	d, err := dialectOf(dsn)
	if err != nil {
		return nil, err
	}
	// A status must not make a file. All steps are pending then.
	if !d.exists(dsn) {
		return known(d)
	}
	db, err := connect(Config{DSN: dsn})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	all, err := known(d)
	if err != nil {
		return nil, err
	}
	applied, err := db.applied(ctx)
	if err != nil {
		return nil, err
	}
	// A step that isn't in the map was not applied: the zero time.
	for i, m := range all {
		all[i].Applied = applied[m.Version]
	}
	return all, refuseNewer(all, applied)
}

// schema remembers whether the schema is up to date, so that a DB with AllowUnavailable can find out
// later:
//
//	          first use              migrate succeeds
//	unknown ───────────► trying ───────────────────────► current, for good
//	                     ▲    │ migrate fails
//	   after retryEvery  │    ▼
//	                     failed: every use gets the same error
//
// current alone is read without the turn: it is what every use of the store looks at.
//
// The turn is a channel and no mutex, because a caller who waits has to be able to give up.
type schema struct {
	current atomic.Bool
	// turn is a semaphore of one: who has sent into it may try, and may use tried and err.
	turn chan struct{}
	// tried and err are when somebody last tried, and the result.
	tried time.Time
	err   error
	// ctx is done when the DB is being closed. A migration runs under it and not under a caller's
	// context: one that takes longer than a request may would never be finished.
	ctx  context.Context
	stop context.CancelFunc
}

// retryEvery is how long a DB with AllowUnavailable believes that the database is unavailable.
const retryEvery = 2 * time.Second

// ready brings the schema up to date unless that is done. One caller tries at a time; the others wait
// for the result. A caller whose ctx ends stops waiting, but the migration goes on.
//
// It is the first step of every use. Once the schema is current it costs one atomic load.
//
// The error is the one that the store's method returns. After retryEvery the next use tries again.
func (db *DB) ready(ctx context.Context) error {
	s := &db.schema
	if s.current.Load() {
		return nil
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// Somebody else was successful while we waited for the turn.
	if s.current.Load() {
		<-s.turn
		return nil
	}
	// Each try may wait for a database that is away. Not every caller is to wait for that again.
	if s.err != nil && db.now().Sub(s.tried) < retryEvery {
		defer func() { <-s.turn }()
		return s.err
	}
	// Buffered: the caller may be gone when the result is there.
	tried := make(chan error, 1)
	go func() {
		defer func() { <-s.turn }()
		err := db.migrateOnce(s.ctx)
		s.tried, s.err = db.now(), err
		s.current.Store(err == nil)
		tried <- err
	}()
	select {
	case err := <-tried:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// migrateOnce is migrate, of which a panic is an error, too: everybody who needs the schema waits for one.
func (db *DB) migrateOnce(ctx context.Context) (err error) {
	defer recovered(&err)
	_, err = db.migrate(ctx)
	return err
}

// end stops a migration that is going on and waits for it. No other may begin afterwards: its
// context is done. It is called by Close, once.
func (s *schema) end() {
	s.stop()
	s.turn <- struct{}{}
	<-s.turn
}

// migrate applies the pending migrations and returns them. Any number of processes may do so at once. It looks for pending ones
// twice, before and after it has the lock: the first time so that the usual start needs no lock, the second because another process
// may have been faster.
func (db *DB) migrate(ctx context.Context) ([]Migration, error) {
	all, err := known(db.dialect)
	if err != nil {
		return nil, err
	}
	if err := db.dialect.create(db.dsn); err != nil {
		return nil, err
	}
	// The usual start has nothing to do. It takes no lock and writes nothing, so it works on a read-only database.
	if pending, err := db.pending(ctx, all); err != nil || len(pending) == 0 {
		return nil, err
	}
	unlock, err := db.dialect.lock(ctx, db.write, db.dsn)
	if err != nil {
		return nil, db.failure(ctx, err)
	}
	defer unlock()
	// Another process may have been faster.
	if pending, err := db.pending(ctx, all); err != nil || len(pending) == 0 {
		return nil, err
	}
	if whole, err := db.createWhole(ctx); err != nil {
		return nil, db.failure(ctx, err)
	} else if whole {
		for i := range all {
			all[i].Applied = db.now()
		}
		return all, nil
	}
	provider, err := newProvider(db)
	if err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, db.failure(ctx, err)
	}
	done := make([]Migration, len(results))
	for i, r := range results {
		done[i] = Migration{Version: r.Source.Version, Name: path.Base(r.Source.Path), Applied: db.now()}
	}
	return done, nil
}

// createWhole makes the newest schema at once in a database that has nothing in it, and reports whether it did. Step by step it
// takes four times as long, most of it for SQLite's reading the schema again after each change of a table.
func (db *DB) createWhole(ctx context.Context) (bool, error) {
	if db.dialect.whole == "" {
		return false, nil
	}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	// Tables, indexes and whatever else there may be: a database of somebody else's is not touched.
	var things int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master`).Scan(&things); err != nil || things > 0 {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, db.dialect.whole); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

// pending returns the migrations of all that have not been applied. ErrNewerSchema when others have.
func (db *DB) pending(ctx context.Context, all []Migration) ([]Migration, error) {
	applied, err := db.applied(ctx)
	if err != nil {
		return nil, err
	}
	if err := refuseNewer(all, applied); err != nil {
		return nil, err
	}
	var pending []Migration
	for _, m := range all {
		if _, ok := applied[m.Version]; !ok {
			pending = append(pending, m)
		}
	}
	return pending, nil
}

// refuseNewer fails when the database has a migration that this binary doesn't know. An older
// binary beside a newer one would write rows that the newer one's schema does not expect. all
// is not empty: a binary has at least one migration.
func refuseNewer(all []Migration, applied map[int64]time.Time) error {
	newest := all[len(all)-1].Version
	for version := range applied {
		if version > newest {
			return fmt.Errorf("%w (the database has version %d, this binary knows up to %d)", ErrNewerSchema, version, newest)
		}
	}
	return nil
}

// applied returns when each migration was applied. It reads goose's table directly, because
// goose would create it first, and MigrateStatus must change nothing. Nothing is applied when
// there is no such table, as in a new database.
func (db *DB) applied(ctx context.Context) (map[int64]time.Time, error) {
	var tables int
	if err := db.read.QueryRowContext(ctx, db.dialect.countTables, versionTable).Scan(&tables); err != nil {
		return nil, db.failure(ctx, err)
	}
	applied := make(map[int64]time.Time)
	if tables == 0 {
		return applied, nil
	}
	// goose writes a row 0 when it makes the table, which is no migration.
	rows, err := db.read.QueryContext(ctx, `SELECT version_id, tstamp FROM `+versionTable+` WHERE is_applied AND version_id > 0`)
	if err != nil {
		return nil, db.failure(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, db.failure(ctx, err)
		}
		applied[version] = at
	}
	return applied, db.failure(ctx, rows.Err())
}

// newProvider makes goose's runner for this database. It takes no lock of its own; migrate has ours.
//
// Closing it is not needed: the pools are ours.
func newProvider(db *DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations/"+db.dialect.dir)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(db.dialect.goose, db.write, dir, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
}

// known lists the dialect's migrations, oldest first. The files are named VERSION_NAME.sql. The
// list is made again each time and belongs to the caller.
func known(d *dialect) ([]Migration, error) {
	files, err := fs.ReadDir(migrations, "migrations/"+d.dir)
	if err != nil {
		return nil, err
	}
	var all []Migration
	for _, f := range files {
		version, err := goose.NumericComponent(f.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{Version: version, Name: f.Name()})
	}
	return all, nil
}
