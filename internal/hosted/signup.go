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

// SignedUp is the result of a sign-up.
type SignedUp struct {
	// Account is as stored: of an earlier sign-up it has the time and the limits.
	Account store.Account
	// Key is the new hosted key. It exists nowhere else: who loses it signs up again.
	Key agent.Secret
}

// mints is how often a new key is made when its id is taken. Ids have 64 random bits, so even the second
// time is unlikely ever to happen.
const mints = 3

// SignUp asks Cursor whose key it is, stores it encrypted, and mints a hosted key for it. The account is
// the same for the same Cursor user however often they sign up, at once or on several replicas; the
// Cursor key is the one of the last sign-up, and hosted keys of earlier ones stay valid. cursorKey comes
// from ParseCursorKey; invitation is what Operator.Invite has made, or "".
//
// Errors are *agent.Error: NotConfigured; Verify's; PermissionDenied when the operator has limited a key of the account, or
// when the account would be a new one and Config.Entry doesn't let it in; Overloaded when the store is unavailable.
//
// Cursor is asked before anything is stored, so a key that Cursor doesn't know makes no account.
func (s *Service) SignUp(ctx context.Context, cursorKey agent.Secret, invitation string) (*SignedUp, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	// The one call that reaches the network, with the person's key. It is the proof that the key is
	// theirs.
	person, err := s.cfg.Verify(ctx, cursorKey)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	// The id before the account is known: two sign-ups at once come to the same one.
	id, err := s.accountID(ctx, person, cursorKey)
	if err != nil {
		return nil, storeError(err)
	}
	account := store.Account{
		ID: id, Email: clip(person.Email), Name: clip(person.Name()),
		SealedKey: s.sealKey(id, cursorKey), KeyHint: keys.Hint(cursorKey.Reveal()),
		Created: now, Updated: now,
	}
	// Else a limited key could be exchanged for one without limits.
	var refused *agent.Error
	if err := s.ownerMayAdd(ctx, id); errors.As(err, &refused) {
		return nil, refused
	} else if err != nil {
		return nil, storeError(err)
	}
	for try := 1; ; try++ {
		token, key := s.mint(id)
		stored, err := s.cfg.Store.SignUp(ctx, account, key, s.signUpRule(invitation))
		switch {
		case err == nil:
			return &SignedUp{Account: stored, Key: token}, nil
		case errors.Is(err, store.ErrNotInvited):
			return nil, s.notInvited(invitation)
		// A conflict is about the key's id alone: an account that exists is no conflict.
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

// longestKey is the most that is accepted as a Cursor key, in bytes. It is far longer than any.
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
	case len(key) > longestKey:
		return agent.Secret{}, agent.ParamError(agent.InvalidValue, param, "This is not a Cursor API key. Create one in the Cursor dashboard under Integrations.")
	}
	if problem, cure := agent.KeyFault(key); problem != "" {
		return agent.Secret{}, agent.ParamError(agent.InvalidValue, param, "This is not a Cursor API key: it %s; %s. Keys are made in the Cursor dashboard under Integrations.", problem, cure)
	}
	return agent.NewSecret(key), nil
}

// accountID is the account of a Cursor user: the one that was brought over from the reference system, if there is one, or
// else ours. Errors are the store's.
func (s *Service) accountID(ctx context.Context, p Person, key agent.Secret) (string, error) {
	brought := referenceAccountID(p, key)
	_, err := s.cfg.Store.Account(ctx, brought)
	if errors.Is(err, store.ErrNotFound) {
		return ownAccountID(p, key), nil
	}
	return brought, err
}

// ownAccountID is "acct_" and 24 hex digits, the same for the same Cursor user: it is a hash of
// the user's id, else of the e-mail address, else (a team's key belongs to no single user) of
// the key. It is not secret, and reveals nothing: the id of the user is hashed.
func ownAccountID(p Person, key agent.Secret) string {
	return hashedID("user:", "email:", "key:", p, key.Reveal())
}

// referenceAccountID is the id that the reference system gives the same user. It has hashed the key before.
func referenceAccountID(p Person, key agent.Secret) string {
	sum := sha256.Sum256([]byte(key.Reveal()))
	return hashedID("cursor-user:", "cursor-email:", "cursor-key:", p, hex.EncodeToString(sum[:]))
}

// hashedID hashes what is known of a user, with a word before it that says what that is.
func hashedID(user, email, other string, p Person, key string) string {
	var of string
	switch {
	case p.UserID != "":
		of = user + p.UserID
	case p.Email != "":
		of = email + strings.ToLower(p.Email)
	default:
		of = other + key
	}
	sum := sha256.Sum256([]byte(of))
	return "acct_" + hex.EncodeToString(sum[:12])
}

// Name is the person's name; without one, the name of the key.
func (p Person) Name() string {
	return cmp.Or(strings.TrimSpace(p.FirstName+" "+p.LastName), p.KeyName)
}

// clip bounds what we store of what Cursor says about a person, in bytes.
func clip(s string) string {
	const most = 400
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}
