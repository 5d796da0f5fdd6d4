package memstore

import (
	"context"
	"maps"
	"slices"

	"composer-api/internal/store"
)

// AddAudit implements store.Audits.
func (s *Store) AddAudit(ctx context.Context, e store.AuditEntry) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// Entries are never changed, so a second one with the id is refused.
	if _, known := s.db.audits[e.ID]; known {
		return store.ErrConflict
	}
	e.At, e.Actor, e.Action, e.Subject, e.Detail = stamp(e.At), clean(e.Actor), clean(e.Action), clean(e.Subject), clean(e.Detail)
	s.db.audits[e.ID] = e
	return nil
}

// ListAudits implements store.Audits.
func (s *Store) ListAudits(ctx context.Context, limit int) ([]store.AuditEntry, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	// An entry has no bytes and no lists, so a copy of the struct shares nothing.
	list := slices.Collect(maps.Values(s.db.audits))
	slices.SortFunc(list, func(a, b store.AuditEntry) int { return newest(a.At, b.At, b.ID, a.ID) })
	return list[:min(len(list), limit)], nil
}
