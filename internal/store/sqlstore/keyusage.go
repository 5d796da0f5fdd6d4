package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"composer-api/internal/store"
)

// The limits of hosted keys, and what a key has used.
//
// What was used within minutes is counted in the request logs, which have an index for it. What was spent within days and
// months is counted as it is spent, a row for each key and day, because a month may have very many logs.

// AdmitRequest implements store.RequestLogs. The row of the key is locked first, by a change that changes nothing, and then
// that of the account if it has limits: so calls for one of them wait for each other, on all replicas. Always in this order,
// so that two never wait for each other. SQLite locks the whole database.
func (db *DB) AdmitRequest(ctx context.Context, l store.RequestLog, admit func(store.Standing) error) error {
	return db.inTx(ctx, func(t *tx) error {
		var at store.Standing
		// No row means that the key is gone, or belongs to another account: ErrNotFound.
		err := t.row(keyFields(&at.Key), `UPDATE keys SET hint = hint WHERE id = $1 AND account = $2 RETURNING `+keyColumns, l.KeyID, l.Account)
		if err != nil {
			return err
		}
		if at.KeyUsed, err = t.used("key_id", l.KeyID, &l); err != nil {
			return err
		}
		if at.Account, at.AccountUsed, err = t.standingOfAccount(&l); err != nil {
			return err
		}
		// An error rolls the transaction back and is returned as it is. admit must not call the
		// store: on SQLite it would wait for itself.
		if err := admit(at); err != nil {
			return err
		}
		return t.beginRequest(l)
	})
}

// standingOfAccount is the limits of a request's account and what its keys have used; nothing when it has none.
func (t *tx) standingOfAccount(l *store.RequestLog) (limits store.KeyLimits, used store.KeyUsage, err error) {
	err = t.row([]any{asLimits{&limits}}, `SELECT limits FROM accounts WHERE id = $1`, l.Account)
	if err != nil || !limits.Any() {
		return store.KeyLimits{}, used, err
	}
	// Read again under the lock: the operator may have changed them meanwhile.
	limits = store.KeyLimits{}
	if err := t.row([]any{asLimits{&limits}}, `UPDATE accounts SET key_hint = key_hint WHERE id = $1 RETURNING limits`, l.Account); err != nil {
		return limits, used, err
	}
	used, err = t.used("account", l.Account, l)
	return limits, used, err
}

// used is what a key or an account has used before the request l; column says which of both. Sums are cast because
// PostgreSQL's sum of integers is no integer.
func (t *tx) used(column, id string, l *store.RequestLog) (u store.KeyUsage, err error) {
	now := l.Created
	err = t.row([]any{&u.Requests, &u.Tokens, asTime{&u.Oldest}}, `
		SELECT count(*), CAST(coalesce(sum(input_tokens + output_tokens), 0) AS BIGINT), coalesce(min(created), 0)
		FROM request_logs WHERE `+column+` = $1 AND created > $2`, id, now.Add(-time.Minute))
	if err != nil {
		return u, err
	}
	// Requests of a process that has died must not hold a place for ever. How young a request is, its process's clock says;
	// leases go by the database's. The account is there for the index.
	err = t.row([]any{&u.Running}, `
		SELECT count(*) FROM request_logs WHERE status = 0 AND account = $1 AND `+column+` = $2 AND (created > $3
			OR runner = '' AND created > $4
			OR runner IN (SELECT id FROM runners WHERE expires > `+t.db.dialect.clock()+`))`,
		l.Account, id, now.Add(-store.RunnerLease), now.Add(-store.RunningFor))
	if err != nil {
		return u, err
	}
	err = t.row([]any{&u.DayUSD, &u.MonthUSD}, `
		SELECT coalesce(sum(CASE WHEN day = $2 THEN cost_usd ELSE 0.0 END), 0.0), coalesce(sum(cost_usd), 0.0)
		FROM key_days WHERE `+column+` = $1 AND day >= $3`,
		id, day(now), month(now))
	return u, err
}

// runnerAge is how long the row of a process is kept after its lease. Its requests count no longer when the lease is over.
const runnerAge = time.Hour

// RenewRunner implements store.RequestLogs.
func (db *DB) RenewRunner(ctx context.Context, runner string, lease time.Duration) error {
	_, err := db.exec(ctx, `
		INSERT INTO runners (id, expires) VALUES ($1, `+db.leaseEnd("$2")+`)
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires`, runner, lease)
	return err
}

// spend adds the cost of a request that is about to be finished to its key's day: the day on which it began. A request that
// was finished before is not counted again.
func (t *tx) spend(l *store.RequestLog) error {
	// Most refused and failed turns: no row is written for them.
	if l.CostUSD == 0 {
		return nil
	}
	var begun time.Time
	var status int64
	var account, key string
	if err := t.row([]any{&account, &key, asTime{&begun}, &status}, `SELECT account, key_id, created, status FROM request_logs WHERE id = $1`, l.ID); err != nil || status != 0 {
		return err
	}
	_, err := t.exec(`
		INSERT INTO key_days (account, key_id, day, cost_usd) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key_id, day) DO UPDATE SET cost_usd = key_days.cost_usd + excluded.cost_usd`,
		account, key, day(begun), l.CostUSD)
	return err
}

// day is when the day of t began, in UTC.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// month is when the month of t began, in UTC.
func month(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// spentAge is how long the cost of a day is kept: longer than any month.
// Sweep deletes what is older.
const spentAge = 62 * 24 * time.Hour

// limitsText is the limits of a key as they are stored: JSON, and empty for none.
func limitsText(l *store.KeyLimits) string {
	if !l.Any() {
		return ""
	}
	text, _ := json.Marshal(l) // numbers and texts: it can't fail, for the CLI lets no NaN and no infinity in
	return string(text)
}

// asLimits scans the limits of a key.
type asLimits struct{ limits *store.KeyLimits }

// Scan implements sql.Scanner. A limit that can't be read is an error: a key must not lose its limits by it.
func (a asLimits) Scan(src any) error {
	text, ok := src.(string)
	switch {
	case !ok:
		return fmt.Errorf("a text was expected, not %T", src)
	case text == "":
		return nil
	}
	return json.Unmarshal([]byte(text), a.limits)
}
