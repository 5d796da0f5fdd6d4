package hosted

import (
	"context"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// What the operator does needs no encryption key, and its errors are the store's: store.ErrNotFound,
// store.ErrUnavailable. Lists come from the store as they are.

// Rotate revokes a hosted key and mints another for the same account, which is returned and
// must be shown to the operator. store.ErrConflict: the key was revoked before. The key that is
// revoked is refused from then on, also for requests that are about to begin.
func (s *Service) Rotate(ctx context.Context, keyID string) (agent.Secret, store.Key, error) {
	old, _, err := s.cfg.Store.Key(ctx, keyID)
	if err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	token, key := s.mint(old.Account)
	if err := s.cfg.Store.RotateKey(ctx, keyID, key); err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	return token, key, nil
}

// Revoke makes a hosted key invalid, from now on and on every replica: Resolve asks the store each time.
func (s *Service) Revoke(ctx context.Context, keyID string) error {
	return s.cfg.Store.RevokeKey(ctx, keyID, s.cfg.Now())
}
