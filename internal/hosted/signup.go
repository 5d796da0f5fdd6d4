package hosted

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/store"
)

// A SignedUp is what a sign-up gives.
type SignedUp struct {
	Account store.Account
	// Key is the new hosted key. It exists nowhere else: who loses it signs up again.
	Key agent.Secret
}

// mints is how often a key is minted whose id somebody has already. Once is as good as never.
const mints = 3

// SignUp asks Cursor whose key it is, keeps it encrypted, and mints a hosted key for it. The account is the same for the
// same Cursor user however often they sign up, at once or on several replicas; the Cursor key is the one of the last
// sign-up, and hosted keys of earlier ones stay good. cursorKey comes from ParseCursorKey.
//
// Errors are *agent.Error: NotConfigured; Verify's; Overloaded when the store is unavailable.
func (s *Service) SignUp(ctx context.Context, cursorKey agent.Secret) (*SignedUp, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	person, err := s.cfg.Verify(ctx, cursorKey)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	id := accountID(person, cursorKey)
	account := store.Account{
		ID: id, Email: clip(person.Email), Name: clip(person.name()),
		SealedKey: s.sealKey(id, cursorKey), KeyHint: keys.Hint(cursorKey.Reveal()),
		Created: now, Updated: now,
	}
	for try := 1; ; try++ {
		token, key := s.mint(id)
		stored, err := s.cfg.Store.SignUp(ctx, account, key)
		switch {
		case err == nil:
			return &SignedUp{Account: stored, Key: token}, nil
		case !errors.Is(err, store.ErrConflict) || try == mints:
			return nil, storeError(err)
		}
	}
}

// mint makes a hosted key for an account.
func (s *Service) mint(account string) (agent.Secret, store.Key) {
	token, key := keys.Mint()
	return token, store.Key{ID: key.ID, Account: account, Hash: key.Hash, Hint: key.Hint, Created: s.cfg.Now()}
}

// longestKey is far longer than any key of Cursor's.
const longestKey = 4096

// ParseCursorKey reads what a person gave as their Cursor key, and refuses what can't be one. Errors are *agent.Error:
// MissingParameter and InvalidValue about "cursorApiKey".
func ParseCursorKey(text string) (agent.Secret, error) {
	const param = "cursorApiKey"
	key := strings.TrimSpace(text)
	switch {
	case key == "":
		return agent.Secret{}, agent.ParamError(agent.MissingParameter, param, "A Cursor API key is required. Create one in the Cursor dashboard under Integrations.")
	case strings.HasPrefix(key, keys.Prefix):
		return agent.Secret{}, agent.ParamError(agent.InvalidValue, param, "This is a key of this server. Sign up with a Cursor API key, from the Cursor dashboard under Integrations.")
	case len(key) > longestKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return agent.Secret{}, agent.ParamError(agent.InvalidValue, param, "This is not a Cursor API key. Create one in the Cursor dashboard under Integrations.")
	}
	return agent.NewSecret(key), nil
}

// accountID is the same for the same Cursor user: it comes from the user's id, else the e-mail address, else (a team's
// key belongs to nobody in particular) the key.
func accountID(p Person, key agent.Secret) string {
	var of string
	switch {
	case p.UserID != "":
		of = "user:" + p.UserID
	case p.Email != "":
		of = "email:" + strings.ToLower(p.Email)
	default:
		of = "key:" + key.Reveal()
	}
	sum := sha256.Sum256([]byte(of))
	return "acct_" + hex.EncodeToString(sum[:12])
}

// name is the person's name, or for want of one that of the key.
func (p Person) name() string {
	return cmp.Or(strings.TrimSpace(p.FirstName+" "+p.LastName), p.KeyName)
}

// clip bounds what we keep of what Cursor says of a person.
func clip(s string) string {
	const most = 400
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}
