package memstore

import (
	"context"
	"maps"
	"slices"
	"time"

	"composer-api/internal/store"
)

// letIn uses up an invitation for an account that is new. db.mu is held.
func (db *Database) letIn(account string, rule store.SignUpRule) error {
	if _, known := db.accounts[account]; known || !rule.Closed {
		return nil
	}
	// By the hash, in a loop: tests have a few invitations. Hashes are unique (AddInvitation).
	for id, i := range db.invitations {
		if i.Hash == rule.Invitation && i.Used < i.Uses && i.Revoked.IsZero() && i.Expires.After(rule.At) {
			i.Used++
			db.invitations[id] = i
			return nil
		}
	}
	return store.ErrNotInvited
}

// AddInvitation implements store.Invitations.
func (s *Store) AddInvitation(ctx context.Context, i store.Invitation) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// The hash is unique, too: letIn looks for it alone.
	for _, old := range s.db.invitations {
		if old.ID == i.ID || old.Hash == i.Hash {
			return store.ErrConflict
		}
	}
	i.Note, i.Created, i.Expires, i.Revoked = clean(i.Note), stamp(i.Created), stamp(i.Expires), stamp(i.Revoked)
	s.db.invitations[i.ID] = i
	return nil
}

// Invitation implements store.Invitations.
func (s *Store) Invitation(ctx context.Context, id string) (store.Invitation, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Invitation{}, err
	}
	defer done()
	i, known := s.db.invitations[id]
	if !known {
		return store.Invitation{}, store.ErrNotFound
	}
	return i, nil
}

// ListInvitations implements store.Invitations.
func (s *Store) ListInvitations(ctx context.Context, limit int) ([]store.Invitation, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	list := slices.Collect(maps.Values(s.db.invitations))
	slices.SortFunc(list, func(a, b store.Invitation) int { return newest(a.Created, b.Created, b.ID, a.ID) })
	return list[:min(len(list), limit)], nil
}

// RevokeInvitation implements store.Invitations.
func (s *Store) RevokeInvitation(ctx context.Context, id string, at time.Time) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	i, known := s.db.invitations[id]
	if !known {
		return store.ErrNotFound
	}
	// The first revocation counts, as for keys.
	if i.Revoked.IsZero() {
		i.Revoked = stamp(at)
		s.db.invitations[id] = i
	}
	return nil
}

// attempts are those of one Who that are within their window.
type attempts struct {
	times []time.Time // oldest first
	// expires is when the newest of them leaves its window, and the row can be swept.
	expires time.Time
}

// CountAttempt implements store.Attempts.
func (s *Store) CountAttempt(ctx context.Context, a store.Attempt) (again time.Time, err error) {
	done, err := s.begin(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer done()
	at := stamp(a.At)
	times := s.db.attempts[a.Who].times
	// The window of this attempt counts, also for those before it.
	for len(times) > 0 && !times[0].Add(a.Window).After(at) {
		times = times[1:]
	}
	// Full. The oldest that still counts says when there is room; this attempt is not recorded.
	if len(times) >= a.Most {
		return times[0].Add(a.Window), nil
	}
	// Cloned, because append could write into an array that an earlier row still has.
	s.db.attempts[a.Who] = attempts{append(slices.Clone(times), at), at.Add(a.Window)}
	return time.Time{}, nil
}
