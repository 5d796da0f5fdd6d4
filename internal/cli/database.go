package cli

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"composer-api/internal/config"
	"composer-api/internal/seal"
	"composer-api/internal/sqlstore"
	"composer-api/internal/store"
)

// dsn is the database that the settings name: COMPOSER_DB, or a file in the user's state folder.
func dsn(p *process, c *config.Storage) (string, error) {
	if c.DB != "" {
		return c.DB, nil
	}
	dir, err := p.env.StateDir()
	return filepath.Join(dir, "composer.db"), err
}

// openStore opens the database, whose schema it brings up to date. The caller closes it.
func openStore(ctx context.Context, p *process, c *config.Storage) (*sqlstore.DB, error) {
	where, err := dsn(p, c)
	if err != nil {
		return nil, err
	}
	db, err := sqlstore.Open(ctx, sqlstore.Config{DSN: where})
	return db, storeHint(err)
}

// openPatientStore opens the database for serve, which goes on without it for those who bring their own Cursor key. What
// keeps the database from being used is logged.
func openPatientStore(ctx context.Context, p *process, c *config.Storage, log *slog.Logger) (*sqlstore.DB, error) {
	where, err := dsn(p, c)
	if err != nil {
		return nil, err
	}
	db, err := sqlstore.Open(ctx, sqlstore.Config{DSN: where, Patient: true})
	if err != nil {
		return nil, storeHint(err)
	}
	if err := db.Ping(ctx); err != nil {
		log.Warn("the database is unavailable: hosted keys and stored responses don't work until it is back", "err", err)
	}
	return db, nil
}

// withStore opens the database for the time of f.
func withStore(ctx context.Context, p *process, c *config.Storage, f func(store.Store) error) error {
	db, err := openStore(ctx, p, c)
	if err != nil {
		return err
	}
	return errors.Join(storeHint(f(db)), db.Close())
}

// newRing makes the keys that content is encrypted with; nil when ENCRYPTION_KEY isn't set.
func newRing(c *config.Storage) (*seal.Ring, error) {
	ring, err := seal.Parse(c.EncryptionKey.Reveal(), c.EncryptionKeyPrevious.Reveal())
	var bad *seal.SecretError
	if errors.As(err, &bad) {
		return nil, &config.Error{Name: bad.Name, Problem: bad.Problem, Hint: bad.Hint}
	}
	return ring, err
}

// storeHint tells the operator what to do about an error of the store.
func storeHint(err error) error {
	var hint *hinted
	switch {
	case err == nil || errors.As(err, &hint):
		return err
	case errors.Is(err, sqlstore.ErrBadDSN):
		return &hinted{err, "set COMPOSER_DB to a file, or to postgres://user:password@host:5432/database"}
	case errors.Is(err, sqlstore.ErrNewerSchema):
		return &hinted{err, "use the newer composer-api, or another database with --db or COMPOSER_DB"}
	case errors.Is(err, store.ErrUnavailable):
		return &hinted{err, "see that the database can be reached and written, or name another with --db or COMPOSER_DB"}
	}
	return err
}

// notFound says in the command's words that there is no such row.
func notFound(err error, what, hint string) error {
	if errors.Is(err, store.ErrNotFound) {
		return &hinted{errors.New(what), hint}
	}
	return err
}
