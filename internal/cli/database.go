package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"composer-api/internal/config"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sqlstore"
)

// How commands come to the database: which one it is, opened for serve or for a command, and
// errors that say what the operator can do.

// dsn names the database: COMPOSER_DB, or a file in the user's state folder. An error is that
// there is no home folder and no COMPOSER_DB.
//
// The result may hold a password, so it is never printed.
func dsn(p *process, c *config.Storage) (string, error) {
	if c.DB != "" {
		return c.DB, nil
	}
	dir, err := p.env.StateDir()
	return filepath.Join(dir, "composer.db"), err
}

// makeStateFolder makes the folder of the default database. A folder that COMPOSER_DB names is
// not made, because its name may be mistyped. Only this user may look into it (0700): the
// database holds keys and conversations.
func makeStateFolder(p *process, c *config.Storage) error {
	if c.DB != "" {
		return nil
	}
	dir, err := p.env.StateDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &hinted{fmt.Errorf("the state folder can't be made, in which the database is: %w", err), "let this user write there, or name another folder with XDG_STATE_HOME, or a file for the database with --db or COMPOSER_DB"}
	}
	return nil
}

// openStore opens the database for serve and brings its schema up to date. listen is COMPOSER_DB_LISTEN, ring what newRing has made.
// The caller closes it.
//
// A file that can't be opened is an error, because the settings must be wrong. A database
// server that can't be reached is not, because it may come back: serve works without it for
// callers with their own Cursor key, and every use of the store tries again. stderr says so, once.
func openStore(ctx context.Context, p *process, c *config.Storage, listen string, ring *seal.Ring, log *slog.Logger) (*sqlstore.DB, error) {
	where, err := dsn(p, c)
	if err != nil {
		return nil, err
	}
	if err := makeStateFolder(p, c); err != nil {
		return nil, err
	}
	// path is "" for a server.
	path, isFile := sqlstore.File(where)
	db, err := sqlstore.Open(ctx, sqlstore.Config{DSN: where, Listen: listen, AllowUnavailable: !isFile, Log: log})
	if err != nil {
		return nil, storeHint(openError(path, err))
	}
	if err := db.Ping(ctx); err != nil {
		fmt.Fprintf(p.stderr, "composer-api: warning: hosted keys and stored responses don't work for now: %v\n"+
			"hint: see that the database server of COMPOSER_DB runs and can be reached from here, and that its user may log in; the gateway goes on trying\n", err)
		return db, nil
	}
	warnOfOtherKeys(ctx, p.stderr, db, ring)
	return db, nil
}

// withStore opens the database while f runs, for a command that can do nothing without it:
// unlike openStore it fails when the database can't be reached. The schema is brought up to
// date first. It may run beside a server on the same database. f's error and that of closing
// are both returned.
//
// The store that f gets is neither sealed nor bounded: a command sees of what is encrypted only that it is there, and may wait
// for a slow database until ctx ends.
func withStore(ctx context.Context, p *process, c *config.Storage, f func(store.Store) error) error {
	where, err := dsn(p, c)
	if err != nil {
		return err
	}
	if err := makeStateFolder(p, c); err != nil {
		return err
	}
	path, _ := sqlstore.File(where)
	db, err := sqlstore.Open(ctx, sqlstore.Config{DSN: where})
	if err != nil {
		return storeHint(openError(path, err))
	}
	// f's error comes first: printError shows its hint.
	return errors.Join(storeHint(f(db)), db.Close())
}

// newRing makes the ring of encryption keys; nil when ENCRYPTION_KEY isn't set: then there are
// no hosted keys, and stored responses are in the clear. ENCRYPTION_KEY_PREVIOUS only decrypts.
// A key that can't be used is a *config.Error with the variable's name.
func newRing(c *config.Storage) (*seal.Ring, error) {
	ring, err := seal.Parse(c.EncryptionKey.Reveal(), c.EncryptionKeyPrevious.Reveal())
	var bad *seal.SecretError
	if errors.As(err, &bad) {
		return nil, &config.Error{Name: bad.Name, Problem: bad.Problem, Hint: bad.Hint}
	}
	return ring, err
}

// keysPatience is how long a start waits for the database to say whether the encryption keys are its own.
const keysPatience = 3 * time.Second

// warnOfOtherKeys warns when the encryption keys are not those of the database. Nobody would learn of it before the first request
// with a hosted key. It is no error: those who bring their own Cursor key are served all the same. A database that doesn't answer is
// told of elsewhere.
func warnOfOtherKeys(ctx context.Context, w io.Writer, accounts store.Accounts, ring *seal.Ring) {
	ctx, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	found, err := hosted.SealingOf(ctx, accounts, ring)
	switch {
	case err != nil || found.Locked == 0:
	case !ring.Ready():
		fmt.Fprintf(w, "composer-api: warning: hosted keys don't work, and the database has %d accounts with them: ENCRYPTION_KEY is not set\nhint: set it to the key with which they were encrypted\n", found.Accounts)
	default:
		fmt.Fprintf(w, "composer-api: warning: ENCRYPTION_KEY does not open the Cursor keys of %d of %d accounts in the database, so their hosted keys don't work\n"+
			"hint: set it to the key with which they were encrypted, or, if you have changed it, set ENCRYPTION_KEY_PREVIOUS to that\n", found.Locked, found.Accounts)
	}
}

// openError adds the name of the file that can't be opened, which SQLite's errors don't have. path is "" for a server.
func openError(path string, err error) error {
	if errors.Is(err, sqlstore.ErrFolder) {
		return &hinted{fmt.Errorf("the database %s can't be opened: %w", path, err), "name a file in it, such as " + filepath.Join(path, "composer.db") + ", with --db or COMPOSER_DB"}
	}
	if path != "" && errors.Is(err, store.ErrUnavailable) {
		return &hinted{fmt.Errorf("the database %s can't be opened: %w", path, err), "see that its folder is there and that both can be written, or name another file with --db or COMPOSER_DB"}
	}
	return err
}

// storeHint adds to an error of the store what the operator can do about it: for a wrong setting, a schema from the future
// and a database that is away. An error that has a hint already stays as it is, as do those that nothing is known about.
func storeHint(err error) error {
	var hint *hinted
	switch {
	case err == nil || errors.As(err, &hint):
		return err
	case errors.Is(err, sqlstore.ErrBadDSN):
		return &hinted{err, "set COMPOSER_DB to a file, or to postgres://user:password@host:5432/database"}
	case errors.Is(err, sqlstore.ErrNewerSchema):
		return &hinted{err, "'composer-api upgrade' gets the newest; or use another database with --db or COMPOSER_DB"}
	case errors.Is(err, store.ErrUnavailable):
		return &hinted{err, "see that the database can be reached and written, or name another with --db or COMPOSER_DB"}
	}
	return err
}

// notFound turns store.ErrNotFound into a sentence of the command, with a hint. Other errors stay.
func notFound(err error, what, hint string) error {
	if errors.Is(err, store.ErrNotFound) {
		return &hinted{errors.New(what), hint}
	}
	return err
}
