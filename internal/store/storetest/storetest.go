// Package storetest is the exam that every store.Store passes.
//
// A store is done when Test is green on it; a bug that is found in one store becomes a case here, for all
// of them. Cases use only the interfaces, so they say what package store promises and not how a database
// does it. Each has a fresh database and a clock of its own, which only the case moves; the one thing
// that goes by real time is the clock of leases, which is the database's.
//
// storetest.go has the exam and what its cases share, and postgres.go a database for them. The cases stand in a file for each
// part of the store: accounts.go, invitations.go, requestlogs.go, sessions.go, responses.go, documents.go, watches.go.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"composer-api/internal/store"
)

// Open opens a database; it fails the test if it can't, and closes the store at the test's end.
// It may be called several times: each result is another replica on the same database, with the
// same clock. The replicas share nothing but the database, as servers on two machines.
type Open func(t *testing.T, limits store.Limits, now func() time.Time) store.Store

// Test examines a store. fresh makes an empty database for one case; it is not used again.
// Every case is a subtest that can be run alone.
func Test(t *testing.T, fresh func(t *testing.T) Open) {
	for _, part := range []struct {
		name  string
		cases []examCase
	}{
		{"Accounts", accountCases},
		{"Keys", keyCases},
		{"KeyLimits", limitCases},
		{"RequestLogs", requestLogCases},
		{"Audits", auditCases},
		{"Invitations", invitationCases},
		{"Attempts", attemptCases},
		{"Sessions", sessionCases},
		{"ParkedCalls", parkedCases},
		{"Responses", responseCases},
		{"Events", eventCases},
		{"Watches", watchCases},
		{"Conversations", conversationCases},
		{"Documents", documentCases},
		{"Whole", wholeCases},
	} {
		t.Run(part.name, func(t *testing.T) { examine(t, part.cases, fresh) })
	}
}

// TestComplete examines a store whose processes tell each other of changes.
func TestComplete(t *testing.T, fresh func(t *testing.T) Open) { examine(t, completeCases, fresh) }

// examine runs each case as a subtest with a database and a clock of its own.
func examine(t *testing.T, cases []examCase, fresh func(t *testing.T) Open) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			// The clock first: the store may ask for the time while it is opened.
			e := &exam{T: t, ctx: t.Context(), now: epoch}
			open := fresh(t)
			e.open = func() store.Store { return open(t, c.limits, e.clock) }
			e.Store = e.open()
			c.run(e)
		})
	}
}

// An examCase is one behaviour. Its name says it. The comment above a case says what goes wrong
// without it. Zero limits are the store's defaults.
type examCase struct {
	// name is the subtest's: a sentence that is true of every store.
	name string
	// limits are given to each replica that the case opens.
	limits store.Limits
	run    func(*exam)
}

// An exam is one case being run: the store, and helpers that fail the test. Its methods are for
// the goroutine of the test, except for clock.
type exam struct {
	*testing.T
	store.Store
	// ctx ends with the test.
	ctx  context.Context
	open func() store.Store // another replica on the same database

	// mu protects now, because stores ask for the time from any goroutine.
	mu  sync.Mutex
	now time.Time
}

// epoch is when every exam begins.
// It is in the middle of a day and of a month, so that a case may add hours without meeting the end of either.
var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// clock is the Now of every replica of this exam.
func (e *exam) clock() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

// pass moves the clock forward; no real time passes. Leases don't notice: they go by the database's clock.
func (e *exam) pass(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Add(d)
}

// at is a time counted from the beginning of the exam.
func at(d time.Duration) time.Time { return epoch.Add(d) }

// ok fails the exam on an error.
func (e *exam) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// fails fails the exam unless err is want.
func (e *exam) fails(err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Fatalf("got the error %v, want %v", err, want)
	}
}

// same fails the exam unless both are equal; nothing and empty are equal.
func (e *exam) same(got, want any) {
	e.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		e.Fatalf("(-want +got)\n%s", diff)
	}
}

// get is for calls that return a value and an error: get[T](e)(f()) is the value, and an error fails the
// exam.
func get[T any](e *exam) func(T, error) T {
	return func(v T, err error) T {
		e.Helper()
		e.ok(err)
		return v
	}
}

// together runs f(0) … f(n-1) in goroutines of their own, and fails the exam on any error. f must not
// fail the test by itself.
func (e *exam) together(n int, f func(i int) error) {
	e.Helper()
	// One place for each goroutine, so they need no lock.
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	e.ok(errors.Join(errs...))
}

// wholeCases are about what holds for every method.
var wholeCases = []examCase{
	// The write must not have happened either.
	{name: "a context that has ended stops everything", run: func(e *exam) {
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		_, err := e.Account(ctx, "acct_1")
		e.fails(err, context.Canceled)
		e.fails(e.CreateResponse(ctx, response("k:1", "resp_1", 0)), context.Canceled)
		_, err = e.Sweep(ctx)
		e.fails(err, context.Canceled)
		_, err = e.Response(e.ctx, "k:1", "resp_1")
		e.fails(err, store.ErrNotFound)
	}},
	// Nothing may be cached in a process: a key that is revoked on one replica is invalid on all.
	{name: "what one replica writes, the other reads", run: func(e *exam) {
		other := e.open()
		e.ok(e.Ping(e.ctx))
		e.ok(other.Ping(e.ctx))
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		_, a, err := other.Key(e.ctx, "key_1")
		e.ok(err)
		e.same(a, account("acct_1"))
		// And the other way round.
		e.ok(other.RevokeKey(e.ctx, "key_1", at(time.Hour)))
		k, _, err := e.Key(e.ctx, "key_1")
		e.ok(err)
		e.same(k.Revoked, at(time.Hour))
	}},
	// Five rows expire at each of three times: a session, a response, a conversation, a document and a log. An event
	// goes with its response and a part with its document; neither is counted.
	{name: "the sweep takes what has expired and nothing else", limits: store.Limits{LogAge: 3 * time.Hour}, run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		for _, hours := range []time.Duration{1, 2, 4} {
			until := hours * time.Hour
			name := fmt.Sprint(until)
			e.ok(e.PutSession(e.ctx, session("k:1", name, until)))
			r := response("k:1", name, 0)
			r.Expires = at(until)
			e.ok(e.CreateResponse(e.ctx, r))
			e.ok(e.AppendEvents(e.ctx, "k:1", name, []store.Event{{Sequence: 0, Data: []byte("x")}}))
			c := conversation("k:1", name, 0)
			c.Expires = at(until)
			e.ok(e.PutConversation(e.ctx, c))
			d := document("k:1", name, 0)
			d.Expires = at(until)
			e.ok(e.CreateDocument(e.ctx, d, parts("a")))
			l := requestLog(name)
			l.Created = at(until - 3*time.Hour) // so that it, too, is too old at until
			e.ok(e.BeginRequest(e.ctx, l))
		}
		// A millisecond before the first time nothing goes; a second sweep of the same moment finds nothing.
		for _, step := range []struct {
			pass time.Duration
			want int64
		}{{time.Hour - time.Millisecond, 0}, {time.Millisecond, 5}, {time.Hour, 5}, {0, 0}} {
			e.pass(step.pass)
			e.same(get[int64](e)(e.Sweep(e.ctx)), step.want)
		}
		// What is left: the rows of the third time, and the account, which has no end.
		get[store.Response](e)(e.Response(e.ctx, "k:1", "4h0m0s"))
		get[store.Account](e)(e.Account(e.ctx, "acct_1"))
	}},
	// PostgreSQL takes neither NUL nor invalid UTF-8. The ids come from clients, so they may hold anything.
	{name: "text that a database may not like comes back as near as can be", run: func(e *exam) {
		a := account("acct_1")
		a.Name = "Zoë 'x' \x00 \xff \\ $1 ?"
		a = signUp(e, a, key("key_1", "acct_1"))
		e.same(a.Name, "Zoë 'x' \uFFFD \uFFFD \\ $1 ?")
		// Such an id names nothing, and that is the answer: no error of the database's.
		for _, id := range []string{"\x00", "\xff", "' OR 1=1 --", "", "🜁"} {
			_, err := e.Response(e.ctx, "k:1", id)
			e.fails(err, store.ErrNotFound)
			_, _, err = e.Key(e.ctx, id)
			e.fails(err, store.ErrNotFound)
		}
	}},
}
