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
		// The lease goes by the database's clock, and the call's end by this process's.
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
func (db *DB) RenewReplica(ctx context.Context, r store.Replica, lease time.Duration) error {
	_, err := db.exec(ctx, `
		INSERT INTO replicas (id, open_at, lease_until) VALUES ($1, $2, `+db.leaseEnd("$3")+`)
		ON CONFLICT (id) DO UPDATE SET open_at = excluded.open_at, lease_until = excluded.lease_until`, r.ID, r.Address, lease)
	return err
}

// OpenReplicas implements store.Replicas. There are as many rows as processes, so it needs no index.
func (db *DB) OpenReplicas(ctx context.Context) ([]string, error) {
	return queryAll(ctx, db, func(address *string) []any { return []any{address} }, `
		SELECT DISTINCT open_at FROM replicas WHERE open_at <> '' AND lease_until > `+db.dialect.clock()+` ORDER BY open_at LIMIT $1`, store.MaxReplicas)
}

// EndReplica implements store.Replicas.
func (db *DB) EndReplica(ctx context.Context, id string) error {
	_, err := db.exec(ctx, `DELETE FROM replicas WHERE id = $1`, id)
	return err
}
