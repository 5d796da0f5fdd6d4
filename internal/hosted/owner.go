package hosted

import (
	"context"
	"errors"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// Recognize finds the account of the person to whom a Cursor key belongs, without making one or another key. cursorKey comes
// from ParseCursorKey. Errors are *agent.Error: NotConfigured; Verify's; NotFound when this person has not signed up;
// Overloaded when the store is unavailable.
func (s *Service) Recognize(ctx context.Context, cursorKey agent.Secret) (store.Account, error) {
	if err := s.ready(); err != nil {
		return store.Account{}, err
	}
	person, err := s.cfg.Verify(ctx, cursorKey)
	if err != nil {
		return store.Account{}, err
	}
	id, err := s.accountID(ctx, person, cursorKey)
	if err != nil {
		return store.Account{}, storeError(err)
	}
	account, err := s.cfg.Store.Account(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Account{}, agent.Errorf(agent.NotFound, "Nobody has signed up with this Cursor user's keys yet.")
	case err != nil:
		return store.Account{}, storeError(err)
	}
	return account, nil
}

// What an owner does with the keys of an account needs no encryption key, and its errors are the store's: store.ErrNotFound,
// store.ErrUnavailable. Lists come from the store as they are.

// Rotate revokes a hosted key and mints another for the same account, which is returned and
// must be shown to whoever has asked for it. Its name, end and limits are those of the old one. store.ErrConflict: the key was revoked
// before. The key that is revoked is refused from then on, also for requests that are about to begin.
func (s *Service) Rotate(ctx context.Context, keyID string) (agent.Secret, store.Key, error) {
	old, _, err := s.cfg.Store.Key(ctx, keyID)
	if err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	token, key := s.mint(old.Account)
	key.Name, key.Expires, key.Limits = old.Name, old.Expires, old.Limits
	if err := s.cfg.Store.RotateKey(ctx, keyID, key); err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	return token, key, nil
}

// AddKey mints a further key for an account, with the name, end and limits of as. store.ErrNotFound: there is no such
// account.
func (s *Service) AddKey(ctx context.Context, account string, as store.Key) (agent.Secret, store.Key, error) {
	for try := 1; ; try++ {
		token, key := s.mint(account)
		key.Name, key.Expires, key.Limits = as.Name, as.Expires, as.Limits
		err := s.cfg.Store.AddKey(ctx, key)
		if errors.Is(err, store.ErrConflict) && try < mints {
			continue
		}
		return token, key, err
	}
}

// AddOwnKey is AddKey for the owner of the account, with a name and without limits. Errors are the store's, and an *agent.Error
// with PermissionDenied where the operator has limited a key of the account.
func (s *Service) AddOwnKey(ctx context.Context, account, name string) (agent.Secret, store.Key, error) {
	if err := s.ownerMayAdd(ctx, account); err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	return s.AddKey(ctx, account, store.Key{Name: name})
}

// ownerMayAdd fails when a key of the account has limits or an end, revoked or not: a further key would have none. Errors are
// the store's, and an *agent.Error with PermissionDenied. An account that doesn't exist yet has no keys.
func (s *Service) ownerMayAdd(ctx context.Context, account string) error {
	all, err := s.cfg.Store.ListKeys(ctx, account)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Limits.Any() || !all[i].Expires.IsZero() {
			return agent.Errorf(agent.PermissionDenied, "The operator of this server has limited what your keys may do, so only the operator can make a further one. Ask for it, or rotate the key that you have.")
		}
	}
	return nil
}

// Revoke makes a hosted key invalid, from now on and on every replica: Resolve asks the store each time.
func (s *Service) Revoke(ctx context.Context, keyID string) error {
	return s.cfg.Store.RevokeKey(ctx, keyID, s.cfg.Now())
}
