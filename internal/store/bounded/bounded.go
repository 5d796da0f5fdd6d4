// Package bounded is a store that answers in time.
//
// It stands in front of any store.Store and gives every call a deadline, because a database that hangs
// (a network that drops packets without a word, a lock that somebody holds) must not hold up the
// requests that use it. A call that doesn't end in time fails with store.ErrUnavailable.
//
// Reads that fail because the database is unavailable are tried once more within the deadline: after a
// restart of the database the first use of each old connection fails. Writes are not, because the first
// try may have been applied although its answer was lost.
package bounded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"composer-api/internal/store"
)

// Limit is the limit that the server uses: long enough for a database that is only busy.
const Limit = 3 * time.Second

// New gives every call of s the time limit, but Sweep, which no request waits for. The caller closes
// what New returns instead of s. told, when not nil, is told of every call: how long it took, and whether it failed.
//
// told is called in the goroutine of the call, before the call returns: it has to be quick, and
// safe for concurrent use.
func New(s store.Store, limit time.Duration, told func(Call)) store.Store {
	if told == nil {
		told = func(Call) {}
	}
	return &bounded{s, limit, told}
}

// A Call is one call of the store that is over.
//
// It is for counting: package metrics shows how long the store takes and how often it fails. There
// is nothing of the rows in it.
type Call struct {
	Write bool // it may have changed something
	// Both tries of a read together.
	Took time.Duration
	Err  error // as the caller got it
}

// bounded names its store instead of embedding it, so that a new method can't be forgotten
// here. It has no state but these two, and no goroutine: a store that ignores its context is
// waited for. It may be used by any number of goroutines, as far as its store may.
type bounded struct {
	// s does the work. told may be nil.
	s     store.Store
	limit time.Duration
	told  func(Call)
}

// write calls f once. f gets a context with our deadline; ctx is the caller's. An error of f
// that isn't of the deadline is returned as it is.
//
// It is not tried again: the first try may have been applied.
func (b *bounded) write(ctx context.Context, f func(context.Context) error) error {
	inner, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	began := time.Now()
	err := b.deadlineError(ctx, inner, f(inner))
	b.told(Call{true, time.Since(began), err})
	return err
}

// read calls f, and calls it again if the store was unavailable and there is time left. Both
// tries share one deadline.
//
// It is a function because methods can't have type parameters.
func read[T any](ctx context.Context, b *bounded, f func(context.Context) (T, error)) (T, error) {
	inner, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	began := time.Now()
	v, err := f(inner)
	// At once and without a pause: an old connection that turns out to be dead fails quickly, and
	// the next one is new.
	if errors.Is(err, store.ErrUnavailable) && inner.Err() == nil {
		v, err = f(inner)
	}
	err = b.deadlineError(ctx, inner, err)
	b.told(Call{false, time.Since(began), err})
	return v, err
}

// deadlineError turns an error that comes from our deadline into ErrUnavailable. If the
// caller's own context has ended, the error is left alone: then it is the caller who gave up.
// The first error stays in the chain, so that a log can show it.
func (b *bounded) deadlineError(ctx, inner context.Context, err error) error {
	if err == nil || inner.Err() == nil || ctx.Err() != nil || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: no answer within %s (%w)", store.ErrUnavailable, b.limit, err)
}

// The methods of store.Store, in the order of its interfaces. Each is either a write or a read; a
// method that does both, such as OpenSession, counts as a write.

// Accounts and hosted keys.
func (b *bounded) SignUp(ctx context.Context, a store.Account, k store.Key, rule store.SignUpRule) (stored store.Account, err error) {
	err = b.write(ctx, func(ctx context.Context) (err error) {
		stored, err = b.s.SignUp(ctx, a, k, rule)
		return err
	})
	return stored, err
}

func (b *bounded) Account(ctx context.Context, id string) (store.Account, error) {
	return read(ctx, b, func(ctx context.Context) (store.Account, error) { return b.s.Account(ctx, id) })
}

func (b *bounded) ListAccounts(ctx context.Context, after string, limit int) ([]store.Account, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.Account, error) { return b.s.ListAccounts(ctx, after, limit) })
}

func (b *bounded) ReplaceSealedKey(ctx context.Context, id string, old, sealed []byte) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.ReplaceSealedKey(ctx, id, old, sealed) })
}

func (b *bounded) LimitAccount(ctx context.Context, id string, limits store.KeyLimits) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.LimitAccount(ctx, id, limits) })
}

func (b *bounded) DeleteAccount(ctx context.Context, id string) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.DeleteAccount(ctx, id) })
}

func (b *bounded) Key(ctx context.Context, id string) (store.Key, store.Account, error) {
	// read has one result, and Key has two.
	type pair struct {
		key     store.Key
		account store.Account
	}
	p, err := read(ctx, b, func(ctx context.Context) (p pair, err error) {
		p.key, p.account, err = b.s.Key(ctx, id)
		return p, err
	})
	return p.key, p.account, err
}

func (b *bounded) ListKeys(ctx context.Context, account string) ([]store.Key, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.Key, error) { return b.s.ListKeys(ctx, account) })
}

func (b *bounded) RevokeKey(ctx context.Context, id string, at time.Time) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.RevokeKey(ctx, id, at) })
}

func (b *bounded) AddKey(ctx context.Context, k store.Key) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.AddKey(ctx, k) })
}

func (b *bounded) ChangeKey(ctx context.Context, k store.Key) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.ChangeKey(ctx, k) })
}

func (b *bounded) RotateKey(ctx context.Context, id string, next store.Key) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.RotateKey(ctx, id, next) })
}

// Who may sign up, and how often somebody has tried.
func (b *bounded) AddInvitation(ctx context.Context, i store.Invitation) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.AddInvitation(ctx, i) })
}

func (b *bounded) Invitation(ctx context.Context, id string) (store.Invitation, error) {
	return read(ctx, b, func(ctx context.Context) (store.Invitation, error) { return b.s.Invitation(ctx, id) })
}

func (b *bounded) ListInvitations(ctx context.Context, limit int) ([]store.Invitation, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.Invitation, error) { return b.s.ListInvitations(ctx, limit) })
}

func (b *bounded) RevokeInvitation(ctx context.Context, id string, at time.Time) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.RevokeInvitation(ctx, id, at) })
}

func (b *bounded) CountAttempt(ctx context.Context, a store.Attempt) (again time.Time, err error) {
	err = b.write(ctx, func(ctx context.Context) (err error) {
		again, err = b.s.CountAttempt(ctx, a)
		return err
	})
	return again, err
}

// The request log.
func (b *bounded) BeginRequest(ctx context.Context, l store.RequestLog) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.BeginRequest(ctx, l) })
}

// The time that admit takes counts, too. It may be called more than once, as store.RequestLogs says.
func (b *bounded) AdmitRequest(ctx context.Context, l store.RequestLog, admit func(store.Standing) error) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.AdmitRequest(ctx, l, admit) })
}

func (b *bounded) RenewRunner(ctx context.Context, runner string, lease time.Duration) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.RenewRunner(ctx, runner, lease) })
}

func (b *bounded) FinishRequest(ctx context.Context, l store.RequestLog) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.FinishRequest(ctx, l) })
}

func (b *bounded) ListRequests(ctx context.Context, q store.RequestQuery) ([]store.RequestLog, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.RequestLog, error) { return b.s.ListRequests(ctx, q) })
}

// Which replica waits for a call, and which replicas live.
func (b *bounded) PutParkedCalls(ctx context.Context, calls []store.ParkedCall) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.PutParkedCalls(ctx, calls) })
}

func (b *bounded) ParkedAt(ctx context.Context, keys [][32]byte) (string, error) {
	return read(ctx, b, func(ctx context.Context) (string, error) { return b.s.ParkedAt(ctx, keys) })
}

func (b *bounded) RenewReplica(ctx context.Context, r store.Replica, lease time.Duration) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.RenewReplica(ctx, r, lease) })
}

func (b *bounded) OpenReplicas(ctx context.Context) ([]string, error) {
	return read(ctx, b, func(ctx context.Context) ([]string, error) { return b.s.OpenReplicas(ctx) })
}

func (b *bounded) EndReplica(ctx context.Context, id string) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.EndReplica(ctx, id) })
}

// What operators did. A second AddAudit would be a conflict, after which the act would not be done.
func (b *bounded) AddAudit(ctx context.Context, e store.AuditEntry) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.AddAudit(ctx, e) })
}

func (b *bounded) ListAudits(ctx context.Context, limit int) ([]store.AuditEntry, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.AuditEntry, error) { return b.s.ListAudits(ctx, limit) })
}

// Sessions. OpenSession makes what it doesn't find, so it isn't tried again.
func (b *bounded) OpenSession(ctx context.Context, s store.Session) (stored store.Session, err error) {
	err = b.write(ctx, func(ctx context.Context) (err error) {
		stored, err = b.s.OpenSession(ctx, s)
		return err
	})
	return stored, err
}

func (b *bounded) Session(ctx context.Context, k store.SessionKey) (store.Session, error) {
	return read(ctx, b, func(ctx context.Context) (store.Session, error) { return b.s.Session(ctx, k) })
}

func (b *bounded) PutSession(ctx context.Context, s store.Session) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.PutSession(ctx, s) })
}

func (b *bounded) DeleteSession(ctx context.Context, k store.SessionKey) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.DeleteSession(ctx, k) })
}

// Responses, their leases and their events.
func (b *bounded) CreateResponse(ctx context.Context, r store.Response) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.CreateResponse(ctx, r) })
}

func (b *bounded) UpdateResponse(ctx context.Context, r store.Response) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.UpdateResponse(ctx, r) })
}

func (b *bounded) Response(ctx context.Context, owner, id string) (store.Response, error) {
	return read(ctx, b, func(ctx context.Context) (store.Response, error) { return b.s.Response(ctx, owner, id) })
}

func (b *bounded) Ancestor(ctx context.Context, owner, id string) (store.Response, error) {
	return read(ctx, b, func(ctx context.Context) (store.Response, error) { return b.s.Ancestor(ctx, owner, id) })
}

func (b *bounded) DeleteResponse(ctx context.Context, owner, id string) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.DeleteResponse(ctx, owner, id) })
}

// RenewLeases is not tried again although that would do no harm: its caller renews every few
// seconds anyway.
func (b *bounded) RenewLeases(ctx context.Context, runner string, jobs []store.ResponseRef, lease time.Duration) (held []store.ResponseRef, err error) {
	err = b.write(ctx, func(ctx context.Context) (err error) {
		held, err = b.s.RenewLeases(ctx, runner, jobs, lease)
		return err
	})
	return held, err
}

func (b *bounded) AbandonedResponses(ctx context.Context, self string, limit int) ([]store.Response, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.Response, error) { return b.s.AbandonedResponses(ctx, self, limit) })
}

func (b *bounded) AppendEvents(ctx context.Context, owner, responseID string, events []store.Event) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.AppendEvents(ctx, owner, responseID, events) })
}

func (b *bounded) ListEvents(ctx context.Context, owner, responseID string, after int64, limit int) ([]store.Event, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.Event, error) {
		return b.s.ListEvents(ctx, owner, responseID, after, limit)
	})
}

// WatchResponse waits for nothing.
func (b *bounded) WatchResponse(ref store.ResponseRef, withEvents bool) store.Watch {
	return b.s.WatchResponse(ref, withEvents)
}

// Upstream's half of conversations.
func (b *bounded) PutConversation(ctx context.Context, c store.Conversation) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.PutConversation(ctx, c) })
}

func (b *bounded) Conversation(ctx context.Context, owner, backend string, hash []byte) (store.Conversation, error) {
	return read(ctx, b, func(ctx context.Context) (store.Conversation, error) {
		return b.s.Conversation(ctx, owner, backend, hash)
	})
}

func (b *bounded) DeleteConversation(ctx context.Context, owner, backend string, hash []byte) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.DeleteConversation(ctx, owner, backend, hash) })
}

// Documents and their parts.
func (b *bounded) CreateDocument(ctx context.Context, d store.Document, parts []store.DocumentPart) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.CreateDocument(ctx, d, parts) })
}

func (b *bounded) UpdateDocument(ctx context.Context, d store.Document) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.UpdateDocument(ctx, d) })
}

func (b *bounded) Document(ctx context.Context, owner, id string) (store.Document, error) {
	return read(ctx, b, func(ctx context.Context) (store.Document, error) { return b.s.Document(ctx, owner, id) })
}

func (b *bounded) ListDocuments(ctx context.Context, owner, kind string, page store.Page) ([]store.Document, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.Document, error) { return b.s.ListDocuments(ctx, owner, kind, page) })
}

func (b *bounded) DeleteDocument(ctx context.Context, owner, id string) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.DeleteDocument(ctx, owner, id) })
}

// AddParts is not tried again: after one that was applied the second would be a conflict, which the caller
// could not tell from a real one.
func (b *bounded) AddParts(ctx context.Context, owner, document string, expires time.Time, parts []store.DocumentPart) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.AddParts(ctx, owner, document, expires, parts) })
}

// A part that isn't there is ErrNotFound, as any document, and not tried again.
func (b *bounded) DocumentPart(ctx context.Context, owner, document, id string) (store.DocumentPart, error) {
	return read(ctx, b, func(ctx context.Context) (store.DocumentPart, error) {
		return b.s.DocumentPart(ctx, owner, document, id)
	})
}

func (b *bounded) ListParts(ctx context.Context, owner, document string, page store.Page) ([]store.DocumentPart, error) {
	return read(ctx, b, func(ctx context.Context) ([]store.DocumentPart, error) {
		return b.s.ListParts(ctx, owner, document, page)
	})
}

func (b *bounded) DeletePart(ctx context.Context, owner, document, id string) error {
	return b.write(ctx, func(ctx context.Context) error { return b.s.DeletePart(ctx, owner, document, id) })
}

// Ping counts as a write, because it checks that the database can be written, and a readiness check
// should see the first failure.
func (b *bounded) Ping(ctx context.Context) error {
	return b.write(ctx, b.s.Ping)
}

// Sweep runs in the background and may take minutes after a long pause. It ends with the server.
func (b *bounded) Sweep(ctx context.Context) (int64, error) { return b.s.Sweep(ctx) }

// Close closes the store, without a limit.
func (b *bounded) Close() error { return b.s.Close() }
