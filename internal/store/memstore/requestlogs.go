package memstore

import (
	"context"
	"slices"
	"time"

	"composer-api/internal/store"
)

// keptLog is a request log as a database would give it back. Durations are kept in milliseconds.
// An id and an account are ours, and have nothing to clean.
func keptLog(l store.RequestLog) store.RequestLog {
	l.RequestID, l.Endpoint, l.Created = clean(l.RequestID), clean(l.Endpoint), stamp(l.Created)
	l.Model, l.UpstreamRun, l.Duration = clean(l.Model), clean(l.UpstreamRun), l.Duration.Truncate(time.Millisecond)
	return l
}

// BeginRequest implements store.RequestLogs.
func (s *Store) BeginRequest(ctx context.Context, l store.RequestLog) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.db.beginRequest(l)
}

// beginRequest adds the row. db.mu is held.
func (db *Database) beginRequest(l store.RequestLog) error {
	if _, known := db.logs[l.ID]; known {
		return store.ErrConflict
	}
	// A foreign key in a database.
	if _, known := db.accounts[l.Account]; !known {
		return store.ErrNotFound
	}
	// Only what is known at the beginning is taken, whatever else the caller has filled in.
	db.logs[l.ID] = keptLog(store.RequestLog{ID: l.ID, Account: l.Account, KeyID: l.KeyID, RequestID: l.RequestID, Endpoint: l.Endpoint, Created: l.Created, Runner: l.Runner})
	return nil
}

// AdmitRequest implements store.RequestLogs. The lock of the database makes all calls one after the other.
func (s *Store) AdmitRequest(ctx context.Context, l store.RequestLog, admit func(store.Standing) error) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	k, known := s.db.keys[l.KeyID]
	if !known || k.Account != l.Account {
		return store.ErrNotFound
	}
	// While the lock is held: no other request is counted in between.
	at := store.Standing{Key: keptKey(k), KeyUsed: s.db.used(l.Created, func(o store.RequestLog) bool { return o.KeyID == l.KeyID })}
	if limits := s.db.accounts[l.Account].Limits; limits.Any() {
		at.Account = keptLimits(limits)
		at.AccountUsed = s.db.used(l.Created, func(o store.RequestLog) bool { return o.Account == l.Account })
	}
	if err := admit(at); err != nil {
		return err
	}
	return s.db.beginRequest(l)
}

// RenewRunner implements store.RequestLogs.
func (s *Store) RenewRunner(ctx context.Context, runner string, lease time.Duration) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// By time.Now, which stands for the database's clock.
	s.db.runners[runner] = time.Now().Add(lease)
	return nil
}

// running reports whether a request that has no end counts as running. db.mu is held.
func (db *Database) running(l store.RequestLog, now time.Time) bool {
	// A process that has just started may not have its first lease yet.
	if l.Created.After(now.Add(-store.RunnerLease)) {
		return true
	}
	if l.Runner == "" {
		// A row of a version that knew no runners: its age decides.
		return l.Created.After(now.Add(-store.RunningFor))
	}
	return db.runners[l.Runner].After(time.Now())
}

// used is what the requests of a key or of an account have used before now. db.mu is held. It looks at every log, which is
// enough for tests.
func (db *Database) used(now time.Time, counts func(store.RequestLog) bool) (u store.KeyUsage) {
	year, month, day := now.UTC().Date()
	for _, l := range db.logs {
		if !counts(l) {
			continue
		}
		// A status of 0 is a request that hasn't ended.
		if l.Status == 0 && db.running(l, now) {
			u.Running++
		}
		// The sliding minute, with what its requests have taken so far.
		if l.Created.After(now.Add(-time.Minute)) {
			u.Requests++
			u.Tokens += l.InputTokens + l.OutputTokens
			if u.Oldest.IsZero() || l.Created.Before(u.Oldest) {
				u.Oldest = l.Created
			}
		}
		// By the day on which a request began, as in SQL.
		if y, m, d := l.Created.UTC().Date(); y == year && m == month {
			u.MonthUSD += l.CostUSD
			if d == day {
				u.DayUSD += l.CostUSD
			}
		}
	}
	return u
}

// FinishRequest implements store.RequestLogs.
func (s *Store) FinishRequest(ctx context.Context, l store.RequestLog) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	old, known := s.db.logs[l.ID]
	if !known {
		return store.ErrNotFound
	}
	// What was written at the beginning stays: it says who is to pay.
	l.Account, l.KeyID, l.RequestID, l.Endpoint, l.Created, l.Runner = old.Account, old.KeyID, old.RequestID, old.Endpoint, old.Created, old.Runner
	s.db.logs[l.ID] = keptLog(l)
	return nil
}

// ListRequests implements store.RequestLogs.
func (s *Store) ListRequests(ctx context.Context, q store.RequestQuery) ([]store.RequestLog, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var list []store.RequestLog
	for _, l := range s.db.logs {
		if asked(q.Account, l.Account) && asked(q.KeyID, l.KeyID) && asked(q.ID, l.ID) && asked(q.RequestID, l.RequestID) && (!q.Failed || l.ErrorCode != "") {
			// A log has no bytes and no lists, so this is a copy.
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b store.RequestLog) int { return newest(a.Created, b.Created, a.ID, b.ID) })
	if q.After != "" {
		// It has to be among the rows that the query finds, so nobody learns which ids others have.
		i := slices.IndexFunc(list, func(l store.RequestLog) bool { return l.ID == q.After })
		if i < 0 {
			return nil, store.ErrNotFound
		}
		list = list[i+1:]
	}
	return list[:min(len(list), q.Limit)], nil
}

// asked reports whether a row's value is the one that is asked for; "" asks for none.
func asked(wanted, value string) bool {
	return wanted == "" || wanted == value
}
