package sqlstore

import (
	"context"
	"errors"

	"composer-api/internal/store"
)

// PutParkedCalls implements store.ParkedCalls. A turn has few calls, so a statement for each is enough.
func (db *DB) PutParkedCalls(ctx context.Context, calls []store.ParkedCall) error {
	return db.inTx(ctx, func(t *tx) error {
		for _, c := range calls {
			if _, err := t.exec(`
				INSERT INTO parked_calls (key, address, expires) VALUES ($1, $2, $3)
				ON CONFLICT (key) DO UPDATE SET address = excluded.address, expires = excluded.expires`,
				c.Key, c.Address, c.Expires); err != nil {
				return err
			}
		}
		return nil
	})
}

// ParkedAt implements store.ParkedCalls. The calls of a turn are parked together, so the first of them is found as a rule.
func (db *DB) ParkedAt(ctx context.Context, keys [][32]byte) (address string, err error) {
	for _, key := range keys {
		err = db.row(ctx, []any{&address}, `SELECT address FROM parked_calls WHERE key = $1 AND expires > $2`, key, db.now())
		if !errors.Is(err, store.ErrNotFound) {
			return address, err
		}
	}
	return "", store.ErrNotFound
}
