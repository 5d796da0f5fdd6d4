package sqlstore

import (
	"context"

	"composer-api/internal/store"
)

// Imported is how many rows of each kind were new.
type Imported struct{ Accounts, Keys, Logs int64 }

// Import adds rows that come from elsewhere, in one transaction, and leaves those that are there already as they are.
// Accounts come first, in this call or one before.
func (db *DB) Import(ctx context.Context, accounts []store.Account, keys []store.Key, logs []store.RequestLog) (added Imported, err error) {
	err = db.inTx(ctx, func(t *tx) error {
		added = Imported{} // inTx may call this more than once
		for _, a := range accounts {
			// An account that is there already may have signed up again since, so its row is the newer one.
			n, err := t.exec(`INSERT INTO accounts (id, email, name, sealed_key, key_hint, created, updated) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`,
				a.ID, a.Email, a.Name, a.SealedKey, a.KeyHint, a.Created, a.Updated)
			if err != nil {
				return err
			}
			added.Accounts += n
		}
		for _, k := range keys {
			n, err := t.exec(`INSERT INTO keys (id, account, hash, hint, created, revoked, name, expires, limits) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
				k.ID, k.Account, k.Hash, k.Hint, k.Created, k.Revoked, k.Name, k.Expires, limitsText(&k.Limits))
			if err != nil {
				return err
			}
			added.Keys += n
		}
		for i := range logs {
			// Two statements, as for a request that is made here: one begins the row, the other completes it.
			l := &logs[i]
			n, err := t.exec(`INSERT INTO request_logs (id, account, key_id, request_id, endpoint, created) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
				l.ID, l.Account, l.KeyID, l.RequestID, l.Endpoint, l.Created)
			if err != nil {
				return err
			}
			if added.Logs += n; n == 0 {
				continue
			}
			// Without spend: what was used before the import counts against no limit here.
			if err := t.finishRequest(l); err != nil {
				return err
			}
		}
		return nil
	})
	return added, err
}
