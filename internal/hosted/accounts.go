// Package hosted is the hosted-key flow: a person hands over a Cursor API key once and gets a key of
// ours for it, so that the Cursor key need not lie on every machine that uses it.
//
//	sign-up    Cursor key (crsr_…) ──► checked with Cursor, encrypted, stored ──► hosted key (cmp_…), shown once
//	a request  hosted key ──► its hash is looked up ──► Cursor key, decrypted, in memory for this request
//
// The Cursor key is encrypted (package seal), bound to the account that it belongs to. Of our own key
// only a hash is kept (package keys). So neither the database alone nor the encryption key alone is
// enough to use an account.
//
// Hosted keys are off while there is no encryption key: then whatever needs it is answered with
// agent.NotConfigured, and the operator's half works all the same.
//
//	accounts.go     Service, Config, how a Cursor key is encrypted, what an error of the store means
//	signup.go       from a Cursor key to an account and a hosted key; invitation.go: who may
//	resolve.go      from a hosted key to the Cursor key, for each request
//	sealed.go       whether the encryption keys are those of the database
//	limits.go       what a key and an account may be used for, and how much
//	requests.go     the request log; record.go puts it in front of the gateway
//	lease.go        that this process lives, so that its requests count
//	limiter.go      how often an address may try something
//	owner.go        what an owner may do with keys; operator.go: what an operator may do with all
//	describe.go     limits and states in words
package hosted

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
)

// Store is what the service keeps.
type Store interface {
	store.Accounts
	store.Keys
	store.RequestLogs
	store.Invitations
	store.Audits
}

// An Entry is who may sign up. Whoever has an account may sign up again in any case, to change its Cursor key.
type Entry string

// The values of Entry.
const (
	Open       Entry = "open"       // everybody with a Cursor key
	Invitation Entry = "invitation" // who has an invitation
	Closed     Entry = "closed"     // nobody
)

// Config is what a Service needs.
type Config struct {
	// Store is where accounts and keys are kept.
	Store Store
	// Ring encrypts the Cursor keys; nil turns hosted keys off. A Cursor key that was encrypted with
	// an older key of the ring is encrypted again with the current one when it is next used.
	Ring *seal.Ring
	// Verify asks Cursor whose key this is (GET /v1/me). Errors are *agent.Error.
	Verify func(ctx context.Context, key agent.Secret) (Person, error)
	// Model tells which model a request asks for, for keys that may not use all of them; nil where no key has limits.
	Model func(ctx context.Context, caller agent.Caller, name, effort string) (agent.Model, error)
	// Entry is who may sign up; "" is Open.
	Entry Entry
	// Runner names this process in the request log, so that what it leaves unfinished when it dies is known; see KeepAlive.
	// "" is a process that doesn't renew a lease.
	Runner string
	// Log gets what fails without a client being told; nil discards it.
	Log *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// A Person is who a Cursor key belongs to, as Cursor says. A team's key has a KeyName only.
// internal/cli fills it in from auth.Account.
type Person struct {
	// Any of them may be "". UserID, else Email, decides which account it is (signup.go).
	UserID    string
	Email     string
	FirstName string
	LastName  string
	KeyName   string
}

// A Service is the hosted-key flow. It is safe for concurrent use, and any number of them may work on one database.
//
// It has no lock and no cache: what is true is in the store, so a change through one replica is
// seen by all.
type Service struct{ cfg Config }

// New makes a Service.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg}
}

// ready fails while hosted keys are off.
func (s *Service) ready() error {
	if s.cfg.Ring.Ready() {
		return nil
	}
	// The caller may be a client or a person in a browser; both can go on with a key of Cursor's.
	return agent.Errorf(agent.NotConfigured, "Hosted keys are off on this server. Use your own Cursor API key as the bearer token, or ask the operator to set ENCRYPTION_KEY (at least %d characters).", seal.MinSecret)
}

// cursorKeyPurpose is part of what is on disk: never change it. See seal.Ring.Seal.
const cursorKeyPurpose = "cursor-key"

// sealKey encrypts the account's Cursor key. It needs a ring; see ready.
func (s *Service) sealKey(account string, key agent.Secret) []byte {
	return SealCursorKey(s.cfg.Ring, account, key)
}

// SealCursorKey encrypts an account's Cursor key as it is kept, for whoever brings accounts over from elsewhere.
func SealCursorKey(ring *seal.Ring, account string, key agent.Secret) []byte {
	return ring.Seal([]byte(key.Reveal()), cursorKeyPurpose, account)
}

// retryAfter is what a client is told to wait after the store was unavailable.
const retryAfter = 5 * time.Second

// storeError turns an error of the store into the *agent.Error for a client whose request needed it.
// Unavailable and too slow is Overloaded (503), a client that left is Canceled, anything else Internal.
func storeError(err error) error {
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return &agent.Error{
			Code: agent.Overloaded, Err: err, RetryAfter: retryAfter,
			Message: "Hosted keys can't be used at the moment, because the server's database is unavailable. Please try again shortly. Your own Cursor API key works meanwhile.",
		}
	}
	if errors.Is(err, context.Canceled) {
		return &agent.Error{Code: agent.Canceled, Err: err}
	}
	return &agent.Error{Code: agent.Internal, Err: err}
}
