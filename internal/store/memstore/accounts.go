package memstore

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"composer-api/internal/store"
)

// keptAccount is an account as a database would give it back: its texts cleaned, its times cut to
// milliseconds, its bytes a copy. It is used on the way in and on the way out, so that a caller
// never shares bytes with the table.
// A database would refuse a NUL in a text and cut times off; clean and stamp do the same, so that a
// test with this store finds what PostgreSQL would show.
func keptAccount(a store.Account) store.Account {
	a.Email, a.Name, a.KeyHint = clean(a.Email), clean(a.Name), clean(a.KeyHint)
	a.SealedKey, a.Created, a.Updated = copied(a.SealedKey), stamp(a.Created), stamp(a.Updated)
	a.Limits = keptLimits(a.Limits)
	return a
}

// keptKey does the same for a key.
func keptKey(k store.Key) store.Key {
	k.Hint, k.Created, k.Revoked = clean(k.Hint), stamp(k.Created), stamp(k.Revoked)
	k.Name, k.Expires = clean(k.Name), stamp(k.Expires)
	k.Limits = keptLimits(k.Limits)
	return k
}

// keptLimits copies the lists: a caller may change its own afterwards.
func keptLimits(l store.KeyLimits) store.KeyLimits {
	l.Surfaces, l.Models = slices.Clone(l.Surfaces), slices.Clone(l.Models)
	return l
}

// SignUp implements store.Accounts.
func (s *Store) SignUp(ctx context.Context, a store.Account, k store.Key, rule store.SignUpRule) (store.Account, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Account{}, err
	}
	defer done()
	// Checked before anything is written: account and key are one transaction.
	if _, known := s.db.keys[k.ID]; known {
		return store.Account{}, store.ErrConflict
	}
	// It uses the invitation up, so it comes after the check that can still refuse the sign-up.
	if err := s.db.letIn(a.ID, rule); err != nil {
		return store.Account{}, err
	}
	a = keptAccount(a)
	// A second sign-up replaces all but the time of the first, and what the operator has said.
	a.Limits = store.KeyLimits{}
	if old, known := s.db.accounts[a.ID]; known {
		a.Created, a.Limits = old.Created, old.Limits
	}
	s.db.accounts[a.ID], s.db.keys[k.ID] = a, keptKey(k)
	return keptAccount(a), nil
}

// Account implements store.Accounts.
func (s *Store) Account(ctx context.Context, id string) (store.Account, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Account{}, err
	}
	defer done()
	a, known := s.db.accounts[id]
	if !known {
		return store.Account{}, store.ErrNotFound
	}
	return keptAccount(a), nil
}

// ListAccounts implements store.Accounts.
func (s *Store) ListAccounts(ctx context.Context, after string, limit int) ([]store.Account, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var list []store.Account
	for _, id := range slices.Sorted(maps.Keys(s.db.accounts)) {
		// after is exclusive: it is the last id of the page before.
		//
		// Sorting all for each page is slow with many, and simple; this store has what fits into
		// memory.
		if id > after && len(list) < limit {
			list = append(list, keptAccount(s.db.accounts[id]))
		}
	}
	return list, nil
}

// ReplaceSealedKey implements store.Accounts.
func (s *Store) ReplaceSealedKey(ctx context.Context, id string, old, sealed []byte) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	a, known := s.db.accounts[id]
	switch {
	case !known:
		return store.ErrNotFound
	// A sign-up came between the caller's read and this write. Its key must stay.
	case !bytes.Equal(a.SealedKey, old):
		return store.ErrConflict
	}
	a.SealedKey = copied(sealed)
	s.db.accounts[id] = a
	return nil
}

// LimitAccount implements store.Accounts.
func (s *Store) LimitAccount(ctx context.Context, id string, limits store.KeyLimits) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	a, known := s.db.accounts[id]
	if !known {
		return store.ErrNotFound
	}
	// All limits at once, as the interface says: zero ones are taken away.
	a.Limits = keptLimits(limits)
	s.db.accounts[id] = a
	return nil
}

// DeleteAccount implements store.Accounts.
func (s *Store) DeleteAccount(ctx context.Context, id string) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	db := s.db
	if _, known := db.accounts[id]; !known {
		return store.ErrNotFound
	}
	delete(db.accounts, id)
	// Three names for whose a row is: keys and logs have the account's id, responses and the like
	// the owner, and sessions only a hash of the owner.
	owner := store.AccountOwner(id)
	hash := store.OwnerSessions(owner)
	// All in one hold of the lock: nobody sees an account half deleted.
	maps.DeleteFunc(db.keys, func(_ string, k store.Key) bool { return k.Account == id })
	maps.DeleteFunc(db.logs, func(_ string, l store.RequestLog) bool { return l.Account == id })
	maps.DeleteFunc(db.sessions, func(k store.SessionKey, _ store.Session) bool { return k.Owner == hash })
	maps.DeleteFunc(db.responses, func(k rowKey, _ *responseRow) bool { return k.owner == owner })
	maps.DeleteFunc(db.conversations, func(k rowKey, _ *store.Conversation) bool { return k.owner == owner })
	maps.DeleteFunc(db.documents, func(k rowKey, _ *documentRow) bool { return k.owner == owner })
	return nil
}

// Key implements store.Keys.
func (s *Store) Key(ctx context.Context, id string) (store.Key, store.Account, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Key{}, store.Account{}, err
	}
	defer done()
	k, known := s.db.keys[id]
	if !known {
		return store.Key{}, store.Account{}, store.ErrNotFound
	}
	// A key never outlives its account (DeleteAccount), so the account is there.
	return keptKey(k), keptAccount(s.db.accounts[k.Account]), nil
}

// ListKeys implements store.Keys.
func (s *Store) ListKeys(ctx context.Context, account string) ([]store.Key, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var list []store.Key
	for _, k := range s.db.keys {
		// Revoked keys are listed, too: an operator wants to see them.
		if account == "" || k.Account == account {
			list = append(list, keptKey(k))
		}
	}
	// Of two that were made in the same millisecond, the smaller id comes first: SQL stores order so.
	slices.SortFunc(list, func(a, b store.Key) int { return newest(a.Created, b.Created, b.ID, a.ID) })
	return list, nil
}

// AddKey implements store.Keys.
func (s *Store) AddKey(ctx context.Context, k store.Key) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	_, taken := s.db.keys[k.ID]
	_, known := s.db.accounts[k.Account]
	switch {
	case taken:
		return store.ErrConflict
	case !known:
		return store.ErrNotFound
	}
	s.db.keys[k.ID] = keptKey(k)
	return nil
}

// ChangeKey implements store.Keys.
func (s *Store) ChangeKey(ctx context.Context, k store.Key) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	old, known := s.db.keys[k.ID]
	if !known {
		return store.ErrNotFound
	}
	// The rest is never changed: hash, account and revocation say who may do what.
	old.Name, old.Expires, old.Limits = k.Name, k.Expires, k.Limits
	s.db.keys[k.ID] = keptKey(old)
	return nil
}

// RevokeKey implements store.Keys.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	k, known := s.db.keys[id]
	if !known {
		return store.ErrNotFound
	}
	// The first revocation counts. When a leaked key stopped working must not be overwritten.
	if k.Revoked.IsZero() {
		k.Revoked = stamp(at)
		s.db.keys[id] = k
	}
	return nil
}

// RotateKey implements store.Keys.
func (s *Store) RotateKey(ctx context.Context, id string, next store.Key) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	k, known := s.db.keys[id]
	_, taken := s.db.keys[next.ID]
	switch {
	// Another account's key is not there, as far as the caller may know.
	case !known || k.Account != next.Account:
		return store.ErrNotFound
	case taken || !k.Revoked.IsZero():
		return store.ErrConflict
	}
	// One moment for both, so that there is none at which both keys work or neither does.
	k.Revoked = stamp(next.Created)
	s.db.keys[id], s.db.keys[next.ID] = k, keptKey(next)
	return nil
}
