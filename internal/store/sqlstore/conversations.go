package sqlstore

import (
	"context"

	"composer-api/internal/store"
)

// Conversations: rows of (owner, backend, hash). Their size is a column of its own, so that the
// limits need not read the data.

// PutConversation implements store.Conversations. What is evicted goes in the same transaction, so that
// an owner is never seen above the limits.
func (db *DB) PutConversation(ctx context.Context, c store.Conversation) error {
	if int64(len(c.Data)) > db.limits.OwnerBytes {
		return store.ErrTooLarge
	}
	return db.inTx(ctx, func(t *tx) error {
		if _, err := t.exec(`
			INSERT INTO conversations (owner, backend, hash, created, expires, size, data) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (owner, backend, hash) DO UPDATE SET
				created = excluded.created, expires = excluded.expires, size = excluded.size, data = excluded.data`,
			c.Owner, c.Backend, c.Hash, c.Created, c.Expires, int64(len(c.Data)), c.Data); err != nil {
			return err
		}
		return t.evictConversations(c)
	})
}

// evictConversations deletes the owner's oldest conversations until the rest fits. keep is the one that
// was just stored. The second and third column make the order of equally old ones definite.
func (t *tx) evictConversations(keep store.Conversation) error {
	return t.evict(
		`SELECT count(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM conversations WHERE owner = $1`,
		`DELETE FROM conversations WHERE owner = $1 AND (backend, hash) = (
			SELECT backend, hash FROM conversations WHERE owner = $1 AND NOT (backend = $2 AND hash = $3)
			ORDER BY created, backend, hash LIMIT 1
		) RETURNING size`,
		keep.Owner, keep.Backend, keep.Hash)
}

// Conversation implements store.Conversations.
//
// One of another backend is another row: a checkpoint means nothing to another backend.
func (db *DB) Conversation(ctx context.Context, owner, backend string, hash []byte) (c store.Conversation, err error) {
	err = db.row(ctx, []any{&c.Owner, &c.Backend, &c.Hash, asTime{&c.Created}, asTime{&c.Expires}, &c.Data}, `
		SELECT owner, backend, hash, created, expires, data FROM conversations
		WHERE owner = $1 AND backend = $2 AND hash = $3 AND expires > $4`, owner, backend, hash, db.now())
	return c, err
}

// DeleteConversation implements store.Conversations. That there is none is no error.
func (db *DB) DeleteConversation(ctx context.Context, owner, backend string, hash []byte) error {
	_, err := db.exec(ctx, `DELETE FROM conversations WHERE owner = $1 AND backend = $2 AND hash = $3`, owner, backend, hash)
	return err
}
