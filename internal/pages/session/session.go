// Package session is who is logged in on the pages, and the operator's token.
//
// A session is a document of the store, so it works on every replica and survives a restart:
//
//	log-in   ──► Begin: 32 random bytes for the cookie; the store gets their hash, under the owner
//	request  ──► Find: the cookie names the owner and is hashed; the document must be there
//	log-out  ──► End: the document is deleted, and a copied cookie is worth nothing
//
// Sessions of an account belong to its owner, so they go with the account. Nothing that is kept opens anything: the
// cookie can't be made from its hash.
package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// Age is how long a session lasts.
const Age = 8 * time.Hour

// Operator is the owner of the operator's sessions and token. No account and no key has this owner: theirs have prefixes.
const Operator = "operator"

// Kinds of documents.
const (
	sessionKind = "page-session"
	tokenKind   = "operator-token"
)

// most is how many sessions an owner may have; the oldest ends when there is one more.
const most = 20

// A Session is somebody who is logged in.
//
// It is read from the store for each request, so a session that was ended elsewhere is over at
// once.
type Session struct {
	// Owner is whose things the session may see: store.AccountOwner of an account, or Operator.
	Owner string
	// KeyID is the hosted key with which somebody logged in: then only its usage may be seen. "" is the whole account.
	KeyID string
	// Form is what every form that changes something must send. Another site can't know it.
	Form string

	id string
}

// Sessions begins and finds sessions. It is safe for concurrent use.
type Sessions struct {
	store store.Documents
	now   func() time.Time
}

// New keeps sessions in a store.
func New(s store.Documents, now func() time.Time) *Sessions { return &Sessions{s, now} }

// encoding is strict: a cookie has exactly one spelling.
var encoding = base64.RawURLEncoding.Strict()

// Begin makes a session, always a new one: an id that somebody has planted in a browser is never taken over. It returns
// the cookie's value. Errors are *agent.Error.
//
//	cookie   base64(owner) . base64(32 random bytes)
//	store    owner, "sess_" + SHA-256 of the bytes, the key's id, the end
func (s *Sessions) Begin(ctx context.Context, owner, keyID string) (cookie string, err error) {
	if err := s.endOldest(ctx, owner); err != nil {
		return "", err
	}
	var random [32]byte
	rand.Read(random[:])
	now := s.now()
	err = s.store.CreateDocument(ctx, store.Document{
		Owner: owner, ID: documentID(random[:]), Kind: sessionKind, Data: []byte(keyID), Created: now, Expires: now.Add(Age),
	}, nil)
	if err != nil {
		return "", Away(err)
	}
	return encoding.EncodeToString([]byte(owner)) + "." + encoding.EncodeToString(random[:]), nil
}

// endOldest makes room for a session.
//
// Two log-ins at once may leave one session more than most.
func (s *Sessions) endOldest(ctx context.Context, owner string) error {
	all, err := s.store.ListDocuments(ctx, owner, sessionKind, store.Page{Limit: most})
	if err != nil || len(all) < most {
		return Away(err)
	}
	return s.delete(ctx, owner, all[0].ID)
}

// Find returns the session of a cookie; nil when there is none. Errors are *agent.Error.
func (s *Sessions) Find(ctx context.Context, cookie string) (*Session, error) {
	owner, random, ok := parse(cookie)
	if !ok {
		return nil, nil
	}
	d, err := s.store.Document(ctx, owner, documentID(random))
	if errors.Is(err, store.ErrNotFound) || err == nil && d.Kind != sessionKind {
		return nil, nil
	}
	if err != nil {
		return nil, Away(err)
	}
	// Derived from the cookie's secret with a prefix of its own, so the store need not keep it, and
	// nobody who reads a page can make the cookie from it.
	form := sha256.Sum256(append([]byte("composer-api form\x00"), random...))
	return &Session{Owner: owner, KeyID: string(d.Data), Form: encoding.EncodeToString(form[:]), id: d.ID}, nil
}

// End ends a session. One that is gone is no error.
func (s *Sessions) End(ctx context.Context, ended *Session) error {
	return s.delete(ctx, ended.Owner, ended.id)
}

// delete removes a session. One that isn't there is no error.
func (s *Sessions) delete(ctx context.Context, owner, id string) error {
	err := s.store.DeleteDocument(ctx, owner, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return Away(err)
}

// Fits reports whether a form was made for this session. It takes the same time whatever is sent.
func (s *Session) Fits(form string) bool {
	return subtle.ConstantTimeCompare([]byte(form), []byte(s.Form)) == 1
}

// parse reads a cookie.
func parse(cookie string) (owner string, random []byte, ok bool) {
	name, secret, _ := strings.Cut(cookie, ".")
	whose, err := encoding.DecodeString(name)
	if err != nil || len(cookie) > 500 {
		return "", nil, false
	}
	random, err = encoding.DecodeString(secret)
	return string(whose), random, err == nil && len(random) == sha256.Size
}

// documentID names a session, or a token, in the store.
func documentID(secret []byte) string {
	sum := sha256.Sum256(append([]byte("composer-api session\x00"), secret...))
	return "sess_" + hex.EncodeToString(sum[:])
}

// Away turns an error of the store into one for a person. nil stays nil.
//
// It is Overloaded, because trying again helps when the database is back. What the store has said
// is for the log.
func Away(err error) error {
	if err == nil {
		return nil
	}
	return &agent.Error{Code: agent.Overloaded, Message: "The server's database does not answer. Please try again in a moment.", Err: err}
}
