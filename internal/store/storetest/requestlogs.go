package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"composer-api/internal/store"
)

// The exam's questions about the request log, about what keys and accounts have used by it, and about what operators did.

// requestLog makes a log as BeginRequest takes it: what is known only at the end is zero.
func requestLog(id string) store.RequestLog {
	return store.RequestLog{ID: id, Account: "acct_1", KeyID: "key_1", RequestID: "req_1", Endpoint: "POST /v1/responses", Created: epoch}
}

// admitted is what AdmitRequest tells about a key that begins a request at a time; the request is refused.
func admitted(e *exam, at time.Time) (used store.KeyUsage) {
	e.Helper()
	refused := errors.New("refused by the exam")
	l := requestLog("never written")
	l.Created = at
	// An error of admit must leave nothing behind, so this may be asked as often as one likes.
	err := e.AdmitRequest(e.ctx, l, func(s store.Standing) error {
		e.same(s.Key, key("key_1", "acct_1"))
		e.same(s.Account, store.KeyLimits{})
		used = s.KeyUsed
		return refused
	})
	e.fails(err, refused)
	return used
}

// limitCases are about what a key has used, which its limits are held against.
var limitCases = []examCase{
	// A request that runs counts at once, and what it took when it has ended. The minute is the last 60 seconds; days and
	// months are those of the calendar. epoch is not near the end of either.
	{name: "what a key has used is known", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		signUp(e, account("acct_2"), key("key_2", "acct_2"))
		// Nothing yet, and nothing of another key's.
		e.same(admitted(e, epoch), store.KeyUsage{})
		// A second apart, so that each leaves the minute at a time of its own.
		for i := range 3 {
			l := requestLog(fmt.Sprint("log_", i))
			l.Created = at(time.Duration(i) * time.Second)
			e.ok(e.AdmitRequest(e.ctx, l, func(store.Standing) error { return nil }))
		}
		other := requestLog("log_other")
		other.Account, other.KeyID = "acct_2", "key_2"
		e.ok(e.BeginRequest(e.ctx, other))
		e.same(admitted(e, at(3*time.Second)), store.KeyUsage{Running: 3, Requests: 3, Oldest: epoch})

		// Two of the three end: one well, one with an error. Both have cost something.
		l := requestLog("log_0")
		l.Status, l.InputTokens, l.OutputTokens, l.CostUSD = 200, 1<<40, 2, 0.25
		e.ok(e.FinishRequest(e.ctx, l))
		l = requestLog("log_1")
		l.Status, l.InputTokens, l.OutputTokens, l.CostUSD = 500, 10, 20, 0.5
		e.ok(e.FinishRequest(e.ctx, l))
		e.same(admitted(e, at(3*time.Second)), store.KeyUsage{Running: 1, Requests: 3, Tokens: 1<<40 + 32, Oldest: epoch, DayUSD: 0.75, MonthUSD: 0.75})
		// log_0 has left the minute by now, with its tokens; the dollars stay for the day.
		e.same(admitted(e, at(time.Minute)), store.KeyUsage{Running: 1, Requests: 2, Tokens: 30, Oldest: at(time.Second), DayUSD: 0.75, MonthUSD: 0.75})
		// The third request never ended: its process has died.
		e.same(admitted(e, at(store.RunningFor+time.Minute)), store.KeyUsage{DayUSD: 0.75, MonthUSD: 0.75})
		// The next day, and the next month.
		e.same(admitted(e, at(24*time.Hour)), store.KeyUsage{MonthUSD: 0.75})
		e.same(admitted(e, at(31*24*time.Hour)), store.KeyUsage{})
	}},
	// The end of a request may be written twice, when the answer of the first time was lost.
	{name: "a request is paid once", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		l := requestLog("log_1")
		e.ok(e.BeginRequest(e.ctx, l))
		l.Status, l.CostUSD = 200, 0.25
		e.ok(e.FinishRequest(e.ctx, l))
		e.ok(e.FinishRequest(e.ctx, l))
		e.same(admitted(e, at(time.Hour)).MonthUSD, 0.25)
	}},
	// Two replicas, and clients that send all at once: not one request too many.
	{name: "a limit holds for requests at the same time, on two replicas", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		refused := e.admitTogether(40, func(i int) store.RequestLog { return requestLog(fmt.Sprint("log_", i)) },
			func(s store.Standing) bool { return s.KeyUsed.Running < 7 })
		e.same(refused, 33) // of the forty, seven fit
		e.same(len(get[[]store.RequestLog](e)(e.ListRequests(e.ctx, store.RequestQuery{Account: "acct_1", Limit: 100}))), 7)
	}},
	// A team shares an account: what one key takes is missing for the others, and who sends with two keys at once gets no
	// further than with one.
	{name: "a limit of an account holds for its keys together, on two replicas", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		signUp(e, account("acct_2"), key("key_other", "acct_2"))
		e.ok(e.AddKey(e.ctx, key("key_2", "acct_1")))
		e.fails(e.LimitAccount(e.ctx, "acct_9", limits()), store.ErrNotFound)
		e.ok(e.LimitAccount(e.ctx, "acct_1", limits()))
		want := account("acct_1")
		want.Limits = limits()
		e.same(get[store.Account](e)(e.Account(e.ctx, "acct_1")), want)
		e.same(get[[]store.Account](e)(e.ListAccounts(e.ctx, "", 1)), []store.Account{want})
		// A further sign-up must be no way out of the operator's limits.
		e.same(signUp(e, account("acct_1"), key("key_3", "acct_1")), want)

		refused := e.admitTogether(40, func(i int) store.RequestLog {
			l := requestLog(fmt.Sprint("log_", i))
			l.KeyID = fmt.Sprint("key_", 1+i/2%2)
			return l
		}, func(s store.Standing) bool { return s.AccountUsed.Running < 7 })
		e.same(refused, 33)
		// The seven end, and something of another account begins. Both are told apart below.
		for _, l := range get[[]store.RequestLog](e)(e.ListRequests(e.ctx, store.RequestQuery{Limit: 100})) {
			l.Status, l.InputTokens, l.CostUSD = 200, 10, 0.25
			e.ok(e.FinishRequest(e.ctx, l))
		}
		other := requestLog("log_other")
		other.Account, other.KeyID = "acct_2", "key_other"
		e.ok(e.BeginRequest(e.ctx, other))
		var at store.Standing
		l := requestLog("log_last")
		e.ok(e.AdmitRequest(e.ctx, l, func(s store.Standing) error { at = s; return nil }))
		e.same(at.Account, limits())
		e.same(at.AccountUsed, store.KeyUsage{Requests: 7, Tokens: 70, Oldest: epoch, DayUSD: 1.75, MonthUSD: 1.75})
		// No limits is a state like another.
		e.ok(e.LimitAccount(e.ctx, "acct_1", store.KeyLimits{}))
		e.same(get[store.Account](e)(e.Account(e.ctx, "acct_1")), account("acct_1"))
	}},
	// A server that is killed leaves its requests without an end. They must not hold places for long, and those of a server
	// that lives must hold theirs, however long a turn takes.
	{name: "the requests of a process count as long as its lease", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		for _, runner := range []string{"alive", "dead", "unheard of"} {
			l := requestLog("log of " + runner)
			l.Runner = runner
			e.ok(e.BeginRequest(e.ctx, l))
		}
		e.ok(e.RenewRunner(e.ctx, "alive", time.Hour))
		e.ok(e.RenewRunner(e.ctx, "dead", time.Hour))
		e.same(admitted(e, at(time.Hour)).Running, int64(2))
		// An end by the clock of the database, which the exam doesn't move.
		e.ok(e.RenewRunner(e.ctx, "dead", -time.Second))
		e.same(admitted(e, at(time.Hour)).Running, int64(1))
		// Young ones count also without: the process may not have got to its first lease yet.
		e.same(admitted(e, at(store.RunnerLease-time.Millisecond)).Running, int64(3))
		e.same(admitted(e, at(store.RunnerLease)).Running, int64(1))
		// What is over doesn't count, whoever lives.
		l := requestLog("log of alive")
		l.Status = 200
		e.ok(e.FinishRequest(e.ctx, l))
		e.same(admitted(e, at(time.Hour)).Running, int64(0))
		e.same(get[[]store.RequestLog](e)(e.ListRequests(e.ctx, store.RequestQuery{ID: "log of alive", Limit: 1}))[0].Runner, "alive")
	}},
	// The account may be deleted at any time, and the key be another account's.
	{name: "only a key of the account is admitted", run: func(e *exam) {
		admit := func(store.Standing) error { return nil }
		// Neither the account nor the key is there yet.
		e.fails(e.AdmitRequest(e.ctx, requestLog("log_1"), admit), store.ErrNotFound)
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		signUp(e, account("acct_2"), key("key_2", "acct_2"))
		l := requestLog("log_1")
		l.KeyID = "key_2"
		e.fails(e.AdmitRequest(e.ctx, l, admit), store.ErrNotFound)
		l.KeyID = "key_1"
		e.ok(e.AdmitRequest(e.ctx, l, admit))
		e.fails(e.AdmitRequest(e.ctx, l, admit), store.ErrConflict)
	}},
}

// requestLogCases are about the rows that say which request cost how much.
var requestLogCases = []examCase{
	// The numbers are chosen so that a column that is too small, or a swapped pair, shows.
	{name: "a request is logged when it begins and when it ends", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		// The row that is read back has no error code, cost or status yet.
		l := requestLog("log_1")
		e.ok(e.BeginRequest(e.ctx, l))
		e.same(get[[]store.RequestLog](e)(e.ListRequests(e.ctx, store.RequestQuery{Account: "acct_1", Limit: 10})), []store.RequestLog{l})
		// What is known at the end is written over what was known at the beginning.
		l.Model, l.Status, l.Estimated, l.Duration = "composer-2.5;fast=false", 200, true, 1500*time.Millisecond
		l.InputTokens, l.CachedTokens, l.OutputTokens, l.ReasoningTokens, l.CostUSD = 1<<40, 2, 3, 4, 0.00000125
		l.UpstreamRun, l.ErrorCode = "conv-1", "upstream_timeout"
		l.Timeline = store.Timeline{
			Backend: "localagent", Resume: "parked", Queue: time.Millisecond, Connect: 2 * time.Millisecond, FirstToken: 3 * time.Millisecond,
			ToolWait: 400 * time.Hour, Parked: true, Repairs: "json arguments",
		}
		e.ok(e.FinishRequest(e.ctx, l))
		e.same(get[[]store.RequestLog](e)(e.ListRequests(e.ctx, store.RequestQuery{Account: "acct_1", Limit: 10})), []store.RequestLog{l})
	}},
	// A log without its account would belong to nobody and never be deleted with it.
	{name: "a log needs its account, and an id of its own", run: func(e *exam) {
		e.fails(e.BeginRequest(e.ctx, requestLog("log_1")), store.ErrNotFound)
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		e.ok(e.BeginRequest(e.ctx, requestLog("log_1")))
		e.fails(e.BeginRequest(e.ctx, requestLog("log_1")), store.ErrConflict)
		e.fails(e.FinishRequest(e.ctx, requestLog("log_2")), store.ErrNotFound)
	}},
	// The limit counts from the newest.
	{name: "logs are listed newest first, of one account or of all", run: func(e *exam) {
		var want []string
		for i, acct := range []string{"acct_1", "acct_2", "acct_1"} {
			signUp(e, account(acct), key(fmt.Sprint("key_", i), acct))
			l := requestLog(fmt.Sprint("log_", i))
			l.Account, l.Created = acct, at(time.Duration(i)*time.Second)
			e.ok(e.BeginRequest(e.ctx, l))
			want = append([]string{l.ID}, want...)
		}
		ids := func(account string, limit int) (ids []string) {
			for _, l := range get[[]store.RequestLog](e)(e.ListRequests(e.ctx, store.RequestQuery{Account: account, Limit: limit})) {
				ids = append(ids, l.ID)
			}
			return ids
		}
		e.same(ids("", 10), want)
		e.same(ids("", 2), want[:2])
		e.same(ids("acct_1", 10), []string{"log_2", "log_0"})
	}},
	// A client pages through its log while new rows come, and looks for the row whose request id it knows.
	{name: "logs are listed by key, by id, by outcome, and page by page", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		signUp(e, account("acct_1"), key("key_2", "acct_1"))
		for i, key := range []string{"key_1", "key_2", "key_1", "key_1"} {
			l := requestLog(fmt.Sprint("log_", i))
			l.KeyID, l.RequestID, l.Created = key, fmt.Sprint("req_", i/2), at(time.Duration(i/3)*time.Second) // the first three at once
			e.ok(e.BeginRequest(e.ctx, l))
			if l.Status = 200; i == 1 {
				l.ErrorCode = "upstream"
			}
			e.ok(e.FinishRequest(e.ctx, l))
		}
		ids := func(q store.RequestQuery) (ids []string) {
			q.Limit = cmp.Or(q.Limit, 10)
			for _, l := range get[[]store.RequestLog](e)(e.ListRequests(e.ctx, q)) {
				ids = append(ids, l.ID)
			}
			return ids
		}
		e.same(ids(store.RequestQuery{}), []string{"log_3", "log_2", "log_1", "log_0"})
		e.same(ids(store.RequestQuery{After: "log_2"}), []string{"log_1", "log_0"})
		e.same(ids(store.RequestQuery{After: "log_3", Limit: 1}), []string{"log_2"})
		e.same(ids(store.RequestQuery{KeyID: "key_1"}), []string{"log_3", "log_2", "log_0"})
		e.same(ids(store.RequestQuery{KeyID: "key_1", After: "log_2"}), []string{"log_0"})
		e.same(ids(store.RequestQuery{Account: "acct_1", RequestID: "req_0"}), []string{"log_1", "log_0"})
		e.same(ids(store.RequestQuery{ID: "log_1"}), []string{"log_1"})
		e.same(ids(store.RequestQuery{Failed: true}), []string{"log_1"})
		e.same(ids(store.RequestQuery{Account: "acct_2"}), []string(nil))
		// A row that isn't there, and rows that the query doesn't find: all the same to the caller.
		for _, q := range []store.RequestQuery{{After: "log_9"}, {After: "log_1", KeyID: "key_1"}, {After: "log_1", Account: "acct_2"}} {
			q.Limit = 10
			_, err := e.ListRequests(e.ctx, q)
			e.fails(err, store.ErrNotFound)
		}
	}},
}

// auditCases are about what operators did.
var auditCases = []examCase{
	// An operator's acts are kept for a year and more; what is older goes by itself.
	{name: "acts are listed newest first, until they are too old", run: func(e *exam) {
		first := store.AuditEntry{ID: "audit_1", At: epoch, Actor: "ada on host1, command line", Action: "limit key", Subject: "key_1", Detail: "2 at once"}
		second := store.AuditEntry{ID: "audit_2", At: at(time.Hour), Actor: "operator's page", Action: "drain"}
		e.ok(e.AddAudit(e.ctx, first))
		e.ok(e.AddAudit(e.ctx, second))
		e.fails(e.AddAudit(e.ctx, first), store.ErrConflict)
		e.same(get[[]store.AuditEntry](e)(e.ListAudits(e.ctx, 10)), []store.AuditEntry{second, first})
		e.same(get[[]store.AuditEntry](e)(e.ListAudits(e.ctx, 1)), []store.AuditEntry{second})
		// Exactly at its age an entry goes; the second is an hour younger.
		e.now = epoch.Add(store.AuditAge)
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(1))
		e.same(get[[]store.AuditEntry](e)(e.ListAudits(e.ctx, 10)), []store.AuditEntry{second})
	}},
}

// admitTogether asks for n requests at the same time, half of them on another replica, and returns how many were refused because
// they did not fit.
func (e *exam) admitTogether(n int, log func(i int) store.RequestLog, fits func(store.Standing) bool) (refused int) {
	replicas := []store.Store{e.Store, e.open()}
	over := errors.New("over the limit")
	var count atomic.Int32
	e.together(n, func(i int) error {
		err := replicas[i%2].AdmitRequest(e.ctx, log(i), func(s store.Standing) error {
			if !fits(s) {
				return over
			}
			return nil
		})
		if errors.Is(err, over) {
			count.Add(1)
			return nil
		}
		return err
	})
	return int(count.Load())
}
