// Package memstore is a store in memory, for tests: a working fake that passes the exam of package storetest.
//
// A [Database] stands for a database server. Each process of a test opens a [Store] on it, and each Store can be slow or
// away, as the way to a database can. Nothing here waits for a socket or a disk, so a test with it can stand in a
// testing/synctest bubble.
//
//	memstore.go      the database, and the way to it
//	accounts.go      accounts and keys
//	requestlogs.go   request logs, and what keys have used by them
//	sessions.go      sessions
//	audit.go         what operators did
//	invitations.go   invitations, and attempts
//	responses.go     responses, their events, conversations
//	documents.go     documents and their parts
//	parked.go        which replica waits for the result of a call, and which live
//	rows.go          what all tables do: order, eviction, copies
package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/notice"
)

// Config says how a Database behaves. The zero value is good.
//
// Tests give Now when they move a clock by hand. In a synctest bubble time.Now is the bubble's
// clock, and nothing has to be given.
type Config struct {
	// Limits bound what is kept; zero fields mean store's defaults.
	Limits store.Limits
	// Now is the clock by which rows expire; nil means time.Now. Leases always go by time.Now, as the database's clock.
	Now func() time.Time
}

// A Database keeps the rows. It is safe for concurrent use, and needs no closing.
//
//	Database ◄── Store   of process 1: may be slow
//	   ▲
//	   └──────── Store   of process 2: may be away
//
// Closing a Store leaves the rows, so a process of a test can be restarted on the same Database.
type Database struct {
	// limits and now are Config's, with the defaults filled in; they don't change. hub has a lock of its own.
	limits store.Limits
	now    func() time.Time
	hub    notice.Hub // of all processes

	// mu protects the tables. Every method holds it from its first look to its last change, so each is one transaction.
	mu sync.Mutex
	// The tables, one a line. Where nothing else is said, the key is the row's own id. Values that are not pointers are replaced
	// as a whole; responses and documents are changed in place, which is why they are copied on the way out.
	accounts    map[string]store.Account
	keys        map[string]store.Key
	logs        map[string]store.RequestLog
	audits      map[string]store.AuditEntry
	invitations map[string]store.Invitation
	// By Attempt.Who, which is a hash.
	attempts map[[32]byte]attempts
	runners  map[string]time.Time // when the lease of each ends, by time.Now
	sessions map[store.SessionKey]store.Session
	// By ParkedCall.Key, which is a hash of owner and call.
	parked        map[[32]byte]store.ParkedCall
	replicas      map[string]liveReplica // by id
	responses     map[rowKey]*responseRow
	conversations map[rowKey]*store.Conversation
	documents     map[rowKey]*documentRow
}

// A rowKey names a row of an owner. backend is "" but for conversations.
//
// The hash of a conversation is its id, as a string of bytes. Two owners may use one id and never
// meet.
type rowKey struct{ owner, id, backend string }

// New makes an empty Database.
func New(cfg Config) *Database {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	db := &Database{
		limits: cfg.Limits.WithDefaults(), now: cfg.Now,
		accounts: map[string]store.Account{}, keys: map[string]store.Key{}, logs: map[string]store.RequestLog{},
		audits: map[string]store.AuditEntry{}, invitations: map[string]store.Invitation{}, attempts: map[[32]byte]attempts{},
		runners: map[string]time.Time{}, sessions: map[store.SessionKey]store.Session{}, parked: map[[32]byte]store.ParkedCall{}, replicas: map[string]liveReplica{}, responses: map[rowKey]*responseRow{},
		conversations: map[rowKey]*store.Conversation{}, documents: map[rowKey]*documentRow{},
	}
	// All Stores share this hub, so a process hears of every change at once. SQL stores have to be connected for that first.
	db.hub.SetComplete(true)
	return db
}

// A Store is one process's way to a Database. It implements store.Store.
//
// Its lock is never held together with the Database's.
type Store struct {
	// db is shared with the other Stores on it. It never changes.
	db *Database

	mu sync.Mutex // protects what follows
	// delay is how long each call waits before it begins; 0 is none. away makes each fail.
	delay time.Duration
	away  bool
	calls int // that have waited so far
}

// Open makes a way to the database.
func (db *Database) Open() *Store { return &Store{db: db} }

// Slow makes every call from now on take so long before it begins, and a little more: no two take equally long, so calls that
// come at one moment end one after the other, in the same order each time.
//
// Calls that wait already keep the time that they began with. Zero makes the way fast again.
func (s *Store) Slow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Away makes every call from now on fail with store.ErrUnavailable, or work again.
//
// Nothing is written while the way is away: unlike a real database, an answer is never lost after a
// commit.
func (s *Store) Away(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// callApart is the difference between the times of two calls of a Store that is slow.
const callApart = 101 * time.Nanosecond

// begin waits as long as the way is slow, and locks the tables; the caller calls done. With an error nothing is locked.
//
// Both settings are read once, at the beginning. A context that ends while a call waits makes the
// call fail with the context's error and change nothing.
func (s *Store) begin(ctx context.Context) (done func(), err error) {
	s.mu.Lock()
	delay, away := s.delay, s.away
	if delay > 0 {
		s.calls++
		delay += time.Duration(s.calls) * callApart
	}
	s.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	// Also without a delay: a context that has ended stops every method.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if away {
		return nil, store.ErrUnavailable
	}
	s.db.mu.Lock()
	// Waiting for this lock doesn't heed ctx: nobody holds it for longer than a look at the tables.
	return s.db.mu.Unlock, nil
}

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error {
	done, err := s.begin(ctx)
	if err == nil {
		done()
	}
	return err
}

// WatchResponse implements store.Watcher. Notices arrive also while the way is away or slow.
func (s *Store) WatchResponse(ref store.ResponseRef, withEvents bool) store.Watch {
	return s.db.hub.WatchResponse(ref, withEvents)
}

// Close implements store.Store. The rows stay with the Database.
func (s *Store) Close() error { return nil }

// Sweep implements store.Sweeper.
//
// Hidden responses don't expire by their own time: they go when nobody continues them. Their events
// went when they were hidden.
func (s *Store) Sweep(ctx context.Context) (gone int64, err error) {
	done, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	db := s.db
	// Each table by its own rule of age. The order matters for the last two only: an expired response may be the last that needed a hidden one.
	gone += sweep(db.sessions, func(v store.Session) bool { return db.over(v.Expires) })
	gone += sweep(db.audits, func(v store.AuditEntry) bool { return db.over(v.At.Add(store.AuditAge)) })
	// Replicas are not counted: SQL stores don't, either.
	maps.DeleteFunc(db.replicas, func(_ string, r liveReplica) bool { return !time.Now().Before(r.until) })
	gone += sweep(db.invitations, func(v store.Invitation) bool { return db.over(v.Expires.Add(store.InvitationAge)) })
	gone += sweep(db.attempts, func(v attempts) bool { return db.over(v.expires) })
	gone += sweep(db.runners, func(v time.Time) bool { return db.over(v.Add(time.Hour)) })
	gone += sweep(db.parked, func(v store.ParkedCall) bool { return db.over(v.Expires) })
	gone += sweep(db.logs, func(v store.RequestLog) bool { return db.over(v.Created.Add(db.limits.LogAge)) })
	gone += sweep(db.conversations, func(v *store.Conversation) bool { return db.over(v.Expires) })
	gone += sweep(db.documents, func(v *documentRow) bool { return db.over(v.Expires) })
	gone += sweep(db.responses, func(v *responseRow) bool { return !v.hidden && db.over(v.Expires) })
	return gone + db.dropUnneeded(), nil
}

// sweep deletes what has expired and returns how many rows that were.
func sweep[K comparable, V any](table map[K]V, over func(V) bool) int64 {
	before := len(table)
	maps.DeleteFunc(table, func(_ K, v V) bool { return over(v) })
	return int64(before - len(table))
}

// over reports whether the time has come.
//
// A row is gone at its very end, not a millisecond later.
func (db *Database) over(t time.Time) bool { return !t.After(db.now()) }

// newest orders by time, newest first, and by id where times are equal: the larger id first. Callers that want the smaller one
// first give the two ids the other way round.
//
// It is for slices.SortFunc.
func newest(a, b time.Time, idA, idB string) int { return cmp.Or(b.Compare(a), cmp.Compare(idB, idA)) }

// Dump writes every row of the database, for tests that look for what must not be there.
//
// Tests look in it for secrets and for words of a conversation. A text stands in it in quotes, with
// Go's escapes. The order of the rows is not fixed.
func (db *Database) Dump() string {
	db.mu.Lock()
	defer db.mu.Unlock()
	var b strings.Builder
	// Runners and replicas are left out: they have ids and addresses of processes alone.
	for _, table := range []any{db.accounts, db.keys, db.logs, db.audits, db.invitations, db.attempts, db.sessions, db.parked} {
		fmt.Fprintf(&b, "%q\n", table)
	}
	// These hold pointers, which %q would show as addresses.
	var rows []any // %q shows the texts in them, whatever else there is
	for _, r := range db.responses {
		rows = append(rows, r.Response, r.events)
	}
	for _, c := range db.conversations {
		rows = append(rows, *c)
	}
	for _, d := range db.documents {
		rows = append(rows, d.Document, d.parts)
	}
	for _, row := range rows {
		fmt.Fprintf(&b, "%q\n", row)
	}
	return b.String()
}
