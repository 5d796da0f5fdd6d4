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
	account, err := s.cfg.Store.Account(ctx, accountID(person, cursorKey))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Account{}, agent.Errorf(agent.NotFound, "Nobody has signed up with this Cursor user's keys yet.")
	case err != nil:
		return store.Account{}, storeError(err)
	}
	return account, nil
}
