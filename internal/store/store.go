// Package store says what Composer API keeps on disk: hosted accounts and their keys, request logs,
// agent sessions, and what the Responses API remembers.
//
// It holds interfaces, rows and errors only, and imports the standard library alone. The packages below
// it:
//
//	sqlstore    SQLite or PostgreSQL
//	sealed      stands in front of another store and encrypts the content of what the Responses API keeps
//	bounded     stands in front of another store and gives every call a deadline
//	memstore    in memory, for tests
//	notice      tells those who wait in a process that a row has changed
//	seal        the encryption
//	storetest   the exam that every implementation passes
//
// The interfaces are small and made for their users: take the one that you need, not [Store]. What
// holds for all of them:
//
//   - Every method may be called at any time from any goroutine, also from several processes on one
//     database. Each is one transaction: it happens as a whole or not at all, and once it has returned
//     nil its effect survives the death of the process.
//   - Every method honours ctx and returns its error when it ends first.
//   - Besides the errors that a method names, any may return [ErrUnavailable]. Test with errors.Is.
//   - After ErrUnavailable, or a ctx that ended, a write may have happened all the same: the answer
//     can be lost after the commit.
//   - What belongs to one owner does not exist for another: the answer is [ErrNotFound].
//   - Rows are copies. The store keeps nothing that it is given and gives nothing that it keeps.
//   - No bytes and nil are the same.
//   - Times are kept to the millisecond and come back in UTC. The zero time is kept as such.
//   - Text is kept as valid UTF-8 without NUL; anything else in it is replaced by U+FFFD.
//   - A row whose Expires has passed is not found, whether or not it has been swept away yet.
//
// store.go has Store and the errors. Each of the other files has an interface and its rows:
//
//	accounts.go      accounts, hosted keys, and the log of their requests
//	invitations.go   who may sign up; attempts.go how often somebody may try
//	audit.go         what operators did
//	sessions.go      upstream conversations of named sessions
//	parked.go        which replica holds a run that waits for results
//	responses.go     responses, with their events and their leases
//	documents.go     chat completions and conversations, with their parts
//	watch.go         who is told of a change
package store

import (
	"context"
	"errors"
	"time"
)

// The errors. What an implementation returns wraps one of these, or is ctx's own error, or is a fault
// of ours (a statement that the database refuses), which callers treat as internal.
var (
	// ErrNotFound: there is no such row for this owner, or it has expired.
	ErrNotFound = errors.New("not found in the store")
	// ErrConflict: the row exists already, or somebody else has changed it meanwhile.
	ErrConflict = errors.New("conflict in the store")
	// ErrNotInvited: nobody without a good invitation may have a new account.
	ErrNotInvited = errors.New("not invited")
	// ErrTooLarge: the row alone is over the owner's limit.
	ErrTooLarge = errors.New("too large for the store")
	// ErrUnavailable: the database can't be reached, read or written now (disk full, read-only,
	// connection lost, locked too long). It may pass. A caller goes on where it can do without the
	// store, and otherwise tells its client to come back (503).
	ErrUnavailable = errors.New("the store is unavailable")
)

// Store is everything, for whoever wires it together.
//
// internal/cli opens a sqlstore, and puts sealed and bounded in front of it.
type Store interface {
	Accounts
	Keys
	RequestLogs
	Invitations
	Attempts
	Audits
	Sessions
	ParkedCalls
	Replicas
	Responses
	Events
	Conversations
	Documents
	Watcher
	Sweeper
	// Ping checks that the database answers and can be written, for /readyz.
	Ping(ctx context.Context) error
	// Close closes the database. No other method may be called afterwards or at the same time.
	Close() error
}

// A Sweeper deletes what nobody can find any more.
type Sweeper interface {
	// Sweep deletes every row that has expired and the request logs that are older than the limit, and returns how
	// many rows went. Several replicas may sweep at once. Call it every few minutes.
	Sweep(ctx context.Context) (int64, error)
}

// Limits bound what is kept. A zero field means its default. They are for each owner, so that
// no owner can push out what belongs to another.
type Limits struct {
	// OwnerBytes is how many bytes of responses (with their events), again of conversations, and again of documents (with
	// their parts) one owner may keep; default 256 MiB. Over it, the oldest go.
	OwnerBytes int64
	// OwnerRows is how many responses, conversations and documents one owner may keep, of each; default 10,000.
	OwnerRows int64
	// LogAge is how long request logs are kept; default 90 days.
	LogAge time.Duration
}

// WithDefaults fills in the zero fields.
func (l Limits) WithDefaults() Limits {
	if l.OwnerBytes == 0 {
		l.OwnerBytes = 256 << 20
	}
	if l.OwnerRows == 0 {
		l.OwnerRows = 10_000
	}
	if l.LogAge == 0 {
		l.LogAge = 90 * 24 * time.Hour
	}
	return l
}
