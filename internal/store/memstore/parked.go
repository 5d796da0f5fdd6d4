package memstore

import (
	"context"
	"time"

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
		if c, known := s.db.parked[key]; known && !s.db.over(c.Expires) && time.Now().Before(s.db.replicas[c.Replica]) {
			return c.Address, nil
		}
	}
	return "", store.ErrNotFound
}

// RenewReplica implements store.Replicas. The database's clock is time.Now, as for the leases of responses.
func (s *Store) RenewReplica(ctx context.Context, id string, lease time.Duration) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	s.db.replicas[id] = time.Now().Add(lease)
	return nil
}

// EndReplica implements store.Replicas.
func (s *Store) EndReplica(ctx context.Context, id string) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	delete(s.db.replicas, id)
	return nil
}
