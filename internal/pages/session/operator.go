package session

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// tokenPrefix begins the operator's token.
const tokenPrefix = "cmpadmin_"

// tokenAge is how long a token is good: until another is made, in practice.
const tokenAge = 10 * 365 * 24 * time.Hour

// MintToken makes the operator's token. Earlier ones are void, and so are the operator's sessions. The token must be shown
// and then forgotten: the store has its hash only. Errors are the store's.
//
// A crash in between leaves no token at all, and never two.
func MintToken(ctx context.Context, s store.Documents, now time.Time) (agent.Secret, error) {
	for _, kind := range []string{tokenKind, sessionKind} {
		old, err := s.ListDocuments(ctx, Operator, kind, store.Page{Limit: 1000})
		if err != nil {
			return agent.Secret{}, err
		}
		for _, d := range old {
			if err := s.DeleteDocument(ctx, Operator, d.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
				return agent.Secret{}, err
			}
		}
	}
	var random [32]byte
	rand.Read(random[:])
	err := s.CreateDocument(ctx, store.Document{Owner: Operator, ID: documentID(random[:]), Kind: tokenKind, Created: now, Expires: now.Add(tokenAge)}, nil)
	if err != nil {
		return agent.Secret{}, err
	}
	return agent.NewSecret(tokenPrefix + encoding.EncodeToString(random[:])), nil
}

// IsToken reports whether a text is the operator's token. Errors are *agent.Error.
func (s *Sessions) IsToken(ctx context.Context, text string) (bool, error) {
	encoded, ours := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	random, err := encoding.DecodeString(encoded)
	if !ours || err != nil || len(random) != 32 {
		return false, nil
	}
	d, err := s.store.Document(ctx, Operator, documentID(random))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && d.Kind == tokenKind, Away(err)
}

// HasToken reports whether there is a token at all. Errors are *agent.Error.
func (s *Sessions) HasToken(ctx context.Context) (bool, error) {
	all, err := s.store.ListDocuments(ctx, Operator, tokenKind, store.Page{Limit: 1})
	return len(all) > 0, Away(err)
}
