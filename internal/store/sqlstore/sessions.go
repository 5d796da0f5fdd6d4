package sqlstore

import (
	"context"

	"composer-api/internal/store"
)

// Sessions: one row each, by two hashes (store.SessionKey).

// OpenSession implements store.Sessions. It is a single statement, so concurrent callers can't both
// insert. A row that has expired counts as missing: its agent id is replaced.
func (db *DB) OpenSession(ctx context.Context, s store.Session) (store.Session, error) {
	stored := store.Session{Key: s.Key}
	err := db.inTx(ctx, func(t *tx) error {
		return t.row([]any{&stored.AgentID, asTime{&stored.Expires}}, `
			INSERT INTO sessions (owner, session, agent_id, expires) VALUES ($1, $2, $3, $4)
			ON CONFLICT (owner, session) DO UPDATE SET
				agent_id = CASE WHEN sessions.expires > $5 THEN sessions.agent_id ELSE excluded.agent_id END,
				expires = excluded.expires
			RETURNING agent_id, expires`,
			s.Key.Owner, s.Key.Session, s.AgentID, s.Expires, db.now())
	})
	return stored, err
}

// Session implements store.Sessions.
//
// It moves no end: looking is not using.
func (db *DB) Session(ctx context.Context, k store.SessionKey) (store.Session, error) {
	stored := store.Session{Key: k}
	err := db.row(ctx, []any{&stored.AgentID, asTime{&stored.Expires}},
		`SELECT agent_id, expires FROM sessions WHERE owner = $1 AND session = $2 AND expires > $3`, k.Owner, k.Session, db.now())
	return stored, err
}

// PutSession implements store.Sessions. It replaces what is there, expired or not.
func (db *DB) PutSession(ctx context.Context, s store.Session) error {
	_, err := db.exec(ctx, `
		INSERT INTO sessions (owner, session, agent_id, expires) VALUES ($1, $2, $3, $4)
		ON CONFLICT (owner, session) DO UPDATE SET agent_id = excluded.agent_id, expires = excluded.expires`,
		s.Key.Owner, s.Key.Session, s.AgentID, s.Expires)
	return err
}

// DeleteSession implements store.Sessions. That there is none is no error.
func (db *DB) DeleteSession(ctx context.Context, k store.SessionKey) error {
	_, err := db.exec(ctx, `DELETE FROM sessions WHERE owner = $1 AND session = $2`, k.Owner, k.Session)
	return err
}
