package sqlstore

import (
	"context"
	"errors"
	"time"

	"composer-api/internal/store"
)

// letIn uses up an invitation for an account that is new; store.ErrNotInvited when there is none that is good. An account
// that exists needs none.
func (t *tx) letIn(account string, rule store.SignUpRule) error {
	var known int
	exists := func() error { return t.row([]any{&known}, `SELECT count(*) FROM accounts WHERE id = $1`, account) }
	if err := exists(); err != nil || known > 0 {
		return err
	}
	// The row lock makes those who bring the same invitation wait for each other.
	err := t.exec1(`UPDATE invitations SET used = used + 1 WHERE hash = $1 AND used < uses AND revoked = 0 AND expires > $2`, rule.Invitation, rule.At)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	// Whom we waited for may have been the same person, who pressed the button twice.
	if err := exists(); err != nil || known > 0 {
		return err
	}
	return store.ErrNotInvited
}

// The columns of an invitation.
const invitationColumns = `id, hash, note, created, expires, revoked, uses, used`

// invitationFields are where invitationColumns are scanned into.
func invitationFields(i *store.Invitation) []any {
	return []any{&i.ID, asHash{&i.Hash}, &i.Note, asTime{&i.Created}, asTime{&i.Expires}, asTime{&i.Revoked}, &i.Uses, &i.Used}
}

// AddInvitation implements store.Invitations.
func (db *DB) AddInvitation(ctx context.Context, i store.Invitation) error {
	_, err := db.exec(ctx, `INSERT INTO invitations (`+invitationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		i.ID, i.Hash, i.Note, i.Created, i.Expires, i.Revoked, i.Uses, i.Used)
	return err
}

// Invitation implements store.Invitations.
func (db *DB) Invitation(ctx context.Context, id string) (i store.Invitation, err error) {
	err = db.row(ctx, invitationFields(&i), `SELECT `+invitationColumns+` FROM invitations WHERE id = $1`, id)
	return i, err
}

// ListInvitations implements store.Invitations.
func (db *DB) ListInvitations(ctx context.Context, limit int) ([]store.Invitation, error) {
	return queryAll(ctx, db, invitationFields, `SELECT `+invitationColumns+` FROM invitations ORDER BY created DESC, id LIMIT $1`, limit)
}

// RevokeInvitation implements store.Invitations. The time of the first revocation stays.
func (db *DB) RevokeInvitation(ctx context.Context, id string, at time.Time) error {
	return db.exec1(ctx, `UPDATE invitations SET revoked = CASE WHEN revoked = 0 THEN $2 ELSE revoked END WHERE id = $1`, id, at)
}
