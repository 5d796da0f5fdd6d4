package memstore

import (
	"context"
	"slices"
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
		// The replica that parked a call last has it.
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
	// The first that is known counts. A replica whose lease has ended is taken for dead, whatever its calls say.
	for _, key := range keys {
		if c, known := s.db.parked[key]; known && !s.db.over(c.Expires) && time.Now().Before(s.db.replicas[c.Replica].until) {
			return c.Address, nil
		}
	}
	return "", store.ErrNotFound
}

// RenewReplica implements store.Replicas. The database's clock is time.Now, as for the leases of responses.
func (s *Store) RenewReplica(ctx context.Context, r store.Replica, lease time.Duration) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// The whole row: an address of "" takes the replica off the list of those that take new turns.
	s.db.replicas[r.ID] = liveReplica{r.Address, time.Now().Add(lease)}
	return nil
}

// A liveReplica is the row of a replica.
type liveReplica struct {
	// address is "" for a replica that takes no requests any more, but still has runs.
	address string
	until   time.Time // when its lease ends
}

// OpenReplicas implements store.Replicas.
func (s *Store) OpenReplicas(ctx context.Context) (addresses []string, err error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	for _, r := range s.db.replicas {
		if r.address != "" && time.Now().Before(r.until) {
			addresses = append(addresses, r.address)
		}
	}
	// Sorted, so that a test gets the same list in each run; two replicas at one address are one.
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	return addresses[:min(len(addresses), store.MaxReplicas)], nil
}

// EndReplica implements store.Replicas.
func (s *Store) EndReplica(ctx context.Context, id string) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// Its parked calls stay until they expire; ParkedAt finds none of them without the replica.
	delete(s.db.replicas, id)
	return nil
}
