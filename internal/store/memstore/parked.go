package memstore

import (
	"context"

	"composer-api/internal/store"
)

// PutParkedCalls implements store.ParkedCalls.
func (s *Store) PutParkedCalls(ctx context.Context, calls []store.ParkedCall) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, c := range calls {
		c.Expires = stamp(c.Expires)
		s.db.parked[c.Key] = c
	}
	return nil
}

// ParkedAt implements store.ParkedCalls.
func (s *Store) ParkedAt(ctx context.Context, keys [][32]byte) (string, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	for _, key := range keys {
		if c, known := s.db.parked[key]; known && !s.db.over(c.Expires) {
			return c.Address, nil
		}
	}
	return "", store.ErrNotFound
}
