package store

import (
	"context"
	"crypto/sha256"
	"time"
)

// Sessions: which upstream conversation id a client's named session has. See pin in package
// gateway. Nothing of a conversation is in them.

// SessionAge is how long a session is remembered after its last use.
const SessionAge = 6 * time.Hour

// A SessionKey names a client's session without saying whose it is or what it is called.
type SessionKey struct {
	// Both are hashes: see NewSessionKey.
	Owner   [32]byte
	Session [32]byte
}

// NewSessionKey hashes the owner and the client's name of the session. The session's hash depends on
// the owner too, so that nobody can see from the database that two owners use equal names.
func NewSessionKey(owner, session string) SessionKey {
	k := SessionKey{Owner: ownerHash(owner)}
	h := sha256.New()
	h.Write(k.Owner[:])
	h.Write([]byte(session))
	h.Sum(k.Session[:0])
	return k
}

// OwnerSessions is SessionKey.Owner of all sessions of owner. DeleteAccount finds them by it.
func OwnerSessions(owner string) [32]byte { return ownerHash(owner) }

// ownerHash has a prefix of its own, so that it equals no other hash of an owner that is kept.
func ownerHash(owner string) [32]byte { return sha256.Sum256([]byte("session-owner\x00" + owner)) }

// A Session ties a client's session to upstream's agent, so that a session goes on after a restart and
// on another replica. Nothing else is kept about it.
type Session struct {
	Key     SessionKey
	AgentID string // upstream's agent or conversation id
	// Expires moves on with each use.
	Expires time.Time
}

// Sessions keeps sessions. They are few bytes each and limited by their age alone.
type Sessions interface {
	// OpenSession returns the session that is stored under s.Key, with its expiry moved on to
	// s.Expires, or stores s if there is none. However many callers open the same key at once, all
	// get the same AgentID.
	OpenSession(ctx context.Context, s Session) (Session, error)
	// Session returns the session as it is stored, and changes nothing. ErrNotFound.
	Session(ctx context.Context, k SessionKey) (Session, error)
	// PutSession stores s, in place of what is stored under its key. The last one wins.
	PutSession(ctx context.Context, s Session) error
	// DeleteSession forgets the session; one that isn't there is no error.
	DeleteSession(ctx context.Context, k SessionKey) error
}
