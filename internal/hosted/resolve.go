package hosted

import (
	"context"
	"errors"

	"composer-api/internal/agent"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
)

// From a hosted key to the Cursor key that it stands for. httpd calls Resolve for every request
// with a key that begins with cmp_.

// Resolve finds out whose hosted key token is, and which Cursor key belongs to it. It asks the store
// every time and caches nothing, so that a key that is revoked anywhere is invalid everywhere at once.
//
// Errors are *agent.Error: NotConfigured when hosted keys are off or the Cursor key can't be decrypted;
// InvalidKey for a key that is malformed, unknown or revoked, all with the same words, and for one that has expired; Overloaded when
// the store is unavailable.
func (s *Service) Resolve(ctx context.Context, token string) (agent.Caller, error) {
	if err := s.ready(); err != nil {
		return agent.Caller{}, err
	}
	sent, ok := keys.Parse(token)
	if !ok {
		return agent.Caller{}, invalidKey()
	}
	// By the id, which is a part of the token's hash and no secret. Below the whole hash is compared.
	key, account, err := s.cfg.Store.Key(ctx, sent.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return agent.Caller{}, invalidKey()
	case err != nil:
		return agent.Caller{}, storeError(err)
	case !sent.Matches(key.Hash) || !key.Revoked.IsZero():
		return agent.Caller{}, invalidKey()
	case !key.Expires.IsZero() && !s.cfg.Now().Before(key.Expires):
		return agent.Caller{}, agent.Errorf(agent.InvalidKey, "The hosted key (cmp_…) has expired. Ask the operator for another, or sign up again.")
	}
	cursorKey, err := s.openKey(ctx, account)
	if err != nil {
		return agent.Caller{}, err
	}
	return agent.Caller{Owner: store.AccountOwner(account.ID), CursorKey: cursorKey, KeyID: key.ID, Limited: key.Limits.Any() || account.Limits.Any()}, nil
}

// invalidKey is the error for every key that is not valid, so that an answer doesn't tell why.
func invalidKey() error {
	return agent.Errorf(agent.InvalidKey, "The hosted key (cmp_…) is not known here or was revoked. Sign up again for a new one, or use your own Cursor API key.")
}

// openKey decrypts the account's Cursor key, and encrypts it again if that was done with an older key of
// the ring.
func (s *Service) openKey(ctx context.Context, a store.Account) (agent.Secret, error) {
	plain, old, err := s.cfg.Ring.Open(a.SealedKey, cursorKeyPurpose, a.ID)
	if errors.Is(err, seal.ErrOpen) {
		return agent.Secret{}, &agent.Error{
			Code: agent.NotConfigured, Err: err,
			Message: "The Cursor key of this account can't be decrypted, because the server's ENCRYPTION_KEY has changed. Sign up again, or ask the operator to set ENCRYPTION_KEY_PREVIOUS to the key before.",
		}
	}
	key := agent.NewSecret(string(plain))
	// Opened with an older key of the ring.
	if old {
		s.reseal(ctx, a, key)
	}
	return key, nil
}

// reseal stores the Cursor key encrypted with the ring's current key. When it fails, the request goes on
// and the next use of the key tries again. A conflict means that a sign-up or another request was
// faster.
func (s *Service) reseal(ctx context.Context, a store.Account, key agent.Secret) {
	err := s.cfg.Store.ReplaceSealedKey(ctx, a.ID, a.SealedKey, s.sealKey(a.ID, key))
	if err != nil && !errors.Is(err, store.ErrConflict) {
		s.cfg.Log.Warn("a Cursor key could not be encrypted with the new ENCRYPTION_KEY", "account", a.ID, "err", err)
	}
}
