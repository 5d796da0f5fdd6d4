package sqlstore

import (
	"context"
	"errors"
	"time"

	"composer-api/internal/store"
)

// PutParkedCalls implements store.ParkedCalls. A turn has few calls, so a statement for each is enough.
func (db *DB) PutParkedCalls(ctx context.Context, calls []store.ParkedCall) error {
	return db.inTx(ctx, func(t *tx) error {
		for _, c := range calls {
			if _, err := t.exec(`
				INSERT INTO parked_calls (key, replica, address, expires) VALUES ($1, $2, $3, $4)
				ON CONFLICT (key) DO UPDATE SET replica = excluded.replica, address = excluded.address, expires = excluded.expires`,
				c.Key, c.Replica, c.Address, c.Expires); err != nil {
				return err
			}
		}
		return nil
	})
}

// ParkedAt implements store.ParkedCalls. The calls of a turn are parked together, so the first of them is found as a rule.
func (db *DB) ParkedAt(ctx context.Context, keys [][32]byte) (address string, err error) {
	for _, key := range keys {
		err = db.row(ctx, []any{&address}, `
			SELECT address FROM parked_calls JOIN replicas ON replicas.id = parked_calls.replica
			WHERE key = $1 AND expires > $2 AND lease_until > `+db.dialect.clock(), key, db.now())
		if !errors.Is(err, store.ErrNotFound) {
			return address, err
		}
	}
	return "", store.ErrNotFound
}

// RenewReplica implements store.Replicas.
func (db *DB) RenewReplica(ctx context.Context, id string, lease time.Duration) error {
	_, err := db.exec(ctx, `
		INSERT INTO replicas (id, lease_until) VALUES ($1, `+db.leaseEnd("$2")+`)
		ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until`, id, lease)
	return err
}

// EndReplica implements store.Replicas.
func (db *DB) EndReplica(ctx context.Context, id string) error {
	_, err := db.exec(ctx, `DELETE FROM replicas WHERE id = $1`, id)
	return err
}
