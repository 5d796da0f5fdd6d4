package sqlstore

import (
	"context"
	"time"

	"composer-api/internal/store"
)

// The columns of a row and the fields that they are scanned into are kept next to each other, in the
// same order. The column names have their table's, because Key joins the two.

// The columns of an account. Its id is a hash of who the user is (see package hosted), so a second sign-up meets the first.
const accountColumns = `accounts.id, accounts.email, accounts.name, accounts.sealed_key, accounts.key_hint, accounts.created, accounts.updated, accounts.limits`

// accountFields are where accountColumns are scanned into.
func accountFields(a *store.Account) []any {
	return []any{&a.ID, &a.Email, &a.Name, &a.SealedKey, &a.KeyHint, asTime{&a.Created}, asTime{&a.Updated}, asLimits{&a.Limits}}
}

// The columns of a key. hash is the SHA-256 of the credential, and revoked is 0 while the key is good.
const keyColumns = `keys.id, keys.account, keys.hash, keys.hint, keys.created, keys.revoked, keys.name, keys.expires, keys.limits`

// keyFields are where keyColumns are scanned into.
func keyFields(k *store.Key) []any {
	return []any{&k.ID, &k.Account, asHash{&k.Hash}, &k.Hint, asTime{&k.Created}, asTime{&k.Revoked}, &k.Name, asTime{&k.Expires}, asLimits{&k.Limits}}
}

// SignUp implements store.Accounts. Account, key and the use of an invitation are one transaction: there is no account
// without the key that its owner is shown, and no invitation is used up for nothing.
func (db *DB) SignUp(ctx context.Context, a store.Account, k store.Key, rule store.SignUpRule) (store.Account, error) {
	var stored store.Account
	err := db.inTx(ctx, func(t *tx) error {
		// inTx may call this more than once.
		stored = store.Account{}
		if rule.Closed {
			if err := t.letIn(a.ID, rule); err != nil {
				return err
			}
		}
		// The row lock of the upsert makes concurrent sign-ups of one user wait for each other.
		if err := t.row(accountFields(&stored), `
			INSERT INTO accounts (id, email, name, sealed_key, key_hint, created, updated)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name, sealed_key = excluded.sealed_key,
				key_hint = excluded.key_hint, updated = excluded.updated
			RETURNING `+accountColumns,
			a.ID, a.Email, a.Name, a.SealedKey, a.KeyHint, a.Created, a.Updated); err != nil {
			return err
		}
		return t.addKey(k)
	})
	return stored, err
}

// addKey inserts a key. A key with its id is store.ErrConflict, and the transaction is rolled back.
func (t *tx) addKey(k store.Key) error {
	_, err := t.exec(`INSERT INTO keys (id, account, hash, hint, created, revoked, name, expires, limits) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		k.ID, k.Account, k.Hash, k.Hint, k.Created, k.Revoked, k.Name, k.Expires, limitsText(&k.Limits))
	return err
}

// AddKey implements store.Keys. That the account exists is what the foreign key sees to.
func (db *DB) AddKey(ctx context.Context, k store.Key) error {
	return db.inTx(ctx, func(t *tx) error { return t.addKey(k) })
}

// ChangeKey implements store.Keys.
func (db *DB) ChangeKey(ctx context.Context, k store.Key) error {
	return db.exec1(ctx, `UPDATE keys SET name = $2, expires = $3, limits = $4 WHERE id = $1`, k.ID, k.Name, k.Expires, limitsText(&k.Limits))
}

// Account implements store.Accounts.
func (db *DB) Account(ctx context.Context, id string) (a store.Account, err error) {
	err = db.row(ctx, accountFields(&a), `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id)
	return a, err
}

// ListAccounts implements store.Accounts.
//
// The order is by id, which says nothing about time: it only has to be the same from page to page.
func (db *DB) ListAccounts(ctx context.Context, after string, limit int) ([]store.Account, error) {
	return queryAll(ctx, db, accountFields,
		`SELECT `+accountColumns+` FROM accounts WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// ReplaceSealedKey implements store.Accounts. The condition on the old value makes it safe without a lock.
func (db *DB) ReplaceSealedKey(ctx context.Context, id string, old, sealed []byte) error {
	return db.inTx(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE accounts SET sealed_key = $3 WHERE id = $1 AND sealed_key = $2`, id, old, sealed)
		if err != nil || n == 1 {
			return err
		}
		return t.conflictIf(`SELECT count(*) FROM accounts WHERE id = $1`, id)
	})
}

// LimitAccount implements store.Accounts.
func (db *DB) LimitAccount(ctx context.Context, id string, limits store.KeyLimits) error {
	return db.exec1(ctx, `UPDATE accounts SET limits = $2 WHERE id = $1`, id, limitsText(&limits))
}

// DeleteAccount implements store.Accounts. Keys, request logs and events are deleted by the foreign keys
// (ON DELETE CASCADE). The other tables don't refer to accounts, because owners without an account have
// rows there, too.
func (db *DB) DeleteAccount(ctx context.Context, id string) error {
	owner := store.AccountOwner(id)
	return db.inTx(ctx, func(t *tx) error {
		// First, so that an account that isn't there changes nothing.
		if err := t.exec1(`DELETE FROM accounts WHERE id = $1`, id); err != nil {
			return err
		}
		for _, d := range []struct {
			statement string
			owner     any
		}{
			{`DELETE FROM sessions WHERE owner = $1`, store.OwnerSessions(owner)},
			{`DELETE FROM responses WHERE owner = $1`, owner},
			{`DELETE FROM conversations WHERE owner = $1`, owner},
			{`DELETE FROM documents WHERE owner = $1`, owner},
		} {
			if _, err := t.exec(d.statement, d.owner); err != nil {
				return err
			}
		}
		return nil
	})
}

// Key implements store.Keys. Every request with a hosted key reads both rows, so they are one statement.
func (db *DB) Key(ctx context.Context, id string) (k store.Key, a store.Account, err error) {
	err = db.row(ctx, append(keyFields(&k), accountFields(&a)...),
		`SELECT `+keyColumns+`, `+accountColumns+` FROM keys JOIN accounts ON accounts.id = keys.account WHERE keys.id = $1`, id)
	return k, a, err
}

// ListKeys implements store.Keys.
//
// There is no limit: an account has few keys.
func (db *DB) ListKeys(ctx context.Context, account string) ([]store.Key, error) {
	return queryAll(ctx, db, keyFields,
		`SELECT `+keyColumns+` FROM keys WHERE account = $1 OR $1 = '' ORDER BY created DESC, id`, account)
}

// RevokeKey implements store.Keys. The time of the first revocation stays.
func (db *DB) RevokeKey(ctx context.Context, id string, at time.Time) error {
	return db.exec1(ctx, `UPDATE keys SET revoked = CASE WHEN revoked = 0 THEN $2 ELSE revoked END WHERE id = $1`, id, at)
}

// RotateKey implements store.Keys. The condition on revoked makes two rotations of one key at the same
// time end in one new key.
func (db *DB) RotateKey(ctx context.Context, id string, next store.Key) error {
	return db.inTx(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE keys SET revoked = $2 WHERE id = $1 AND revoked = 0 AND account = $3`, id, next.Created, next.Account)
		if err != nil {
			return err
		}
		if n == 0 {
			return t.conflictIf(`SELECT count(*) FROM keys WHERE id = $1 AND account = $2`, id, next.Account)
		}
		return t.addKey(next)
	})
}

// conflictIf tells apart why a conditional update changed no row: the row is there but not in
// the expected state (ErrConflict), or isn't there (ErrNotFound). count is a query for the
// number of rows without the condition. It runs in the same transaction, so nobody can have
// changed the row in between.
func (t *tx) conflictIf(count string, args ...any) error {
	var n int
	switch err := t.row([]any{&n}, count, args...); {
	case err != nil:
		return err
	case n > 0:
		return store.ErrConflict
	default:
		return store.ErrNotFound
	}
}
