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

// AdmitRequest implements store.RequestLogs. The row of the key is locked first, by a change that changes nothing: so calls
// for one key wait for each other, on all replicas. SQLite locks the whole database.
func (db *DB) AdmitRequest(ctx context.Context, l store.RequestLog, admit func(store.Key, store.KeyUsage) error) error {
	return db.inTx(ctx, func(t *tx) error {
		var key store.Key
		// No row means that the key is gone, or belongs to another account: ErrNotFound.
		if err := t.row(keyFields(&key), `UPDATE keys SET hint = hint WHERE id = $1 AND account = $2 RETURNING `+keyColumns, l.KeyID, l.Account); err != nil {
			return err
		}
		used, err := t.used(l.KeyID, l.Created)
		if err != nil {
			return err
		}
		// An error rolls the transaction back and is returned as it is. admit must not call the
		// store: on SQLite it would wait for itself.
		if err := admit(key, used); err != nil {
			return err
		}
		return t.beginRequest(l)
	})
}

// used is what a key has used before now. Sums are cast because PostgreSQL's sum of integers is no integer.
func (t *tx) used(keyID string, now time.Time) (u store.KeyUsage, err error) {
	err = t.row([]any{&u.Running, &u.Requests, &u.Tokens, asTime{&u.Oldest}}, `
		SELECT coalesce(sum(CASE WHEN status = 0 THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN created > $3 THEN 1 ELSE 0 END), 0),
			CAST(coalesce(sum(CASE WHEN created > $3 THEN input_tokens + output_tokens ELSE 0 END), 0) AS BIGINT),
			coalesce(min(CASE WHEN created > $3 THEN created END), 0)
		FROM request_logs WHERE key_id = $1 AND created > $2`,
		// A request that has run for longer than RunningFor belongs to a process that has died; it
		// must not hold a place for ever.
		keyID, now.Add(-store.RunningFor), now.Add(-time.Minute))
	if err != nil {
		return u, err
	}
	err = t.row([]any{&u.DayUSD, &u.MonthUSD}, `
		SELECT coalesce(sum(CASE WHEN day = $2 THEN cost_usd ELSE 0.0 END), 0.0), coalesce(sum(cost_usd), 0.0)
		FROM key_days WHERE key_id = $1 AND day >= $3`,
		keyID, day(now), month(now))
	return u, err
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
