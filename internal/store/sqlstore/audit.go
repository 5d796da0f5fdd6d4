package sqlstore

import (
	"context"

	"composer-api/internal/store"
)

// AddAudit implements store.Audits.
func (db *DB) AddAudit(ctx context.Context, e store.AuditEntry) error {
	_, err := db.exec(ctx, `INSERT INTO audit (id, at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)`,
		e.ID, e.At, e.Actor, e.Action, e.Subject, e.Detail)
	return err
}

// ListAudits implements store.Audits. The id decides between entries of one millisecond, so that two lists have the same order.
func (db *DB) ListAudits(ctx context.Context, limit int) ([]store.AuditEntry, error) {
	return queryAll(ctx, db, func(e *store.AuditEntry) []any {
		return []any{&e.ID, asTime{&e.At}, &e.Actor, &e.Action, &e.Subject, &e.Detail}
	}, `SELECT id, at, actor, action, subject, detail FROM audit ORDER BY at DESC, id LIMIT $1`, limit)
}
