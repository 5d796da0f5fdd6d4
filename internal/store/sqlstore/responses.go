package sqlstore

import (
	"context"
	"errors"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/notice"
)

// Responses and the events of background ones. Every write names what it expects (a revision, a
// runner), so there is no lock between calls; see store.Responses.

// The columns and the fields that they are scanned into are in the same order. lease_until, size,
// events_size and hidden are for statements only and are never read into a store.Response.
//
//	previous      the response that this one continues; "" for none. No foreign key: it may be gone
//	lease_until   when the runner's lease ends, in milliseconds by dialect.clock
//	hidden        deleted, but kept as context of what continues it; see DeleteResponse

const responseColumns = `owner, id, previous, status, created, expires, runner, revision, object, input`

// responseFields are where responseColumns are scanned into.
func responseFields(r *store.Response) []any {
	return []any{&r.Owner, &r.ID, &r.Previous, &r.Status, asTime{&r.Created}, asTime{&r.Expires}, &r.Runner,
		&r.Revision, &r.Object, &r.Input}
}

// responseSize is what a response counts against its owner's bytes, beside its events.
func responseSize(r store.Response) int64 { return int64(len(r.Object) + len(r.Input)) }

// leaseEnd is an SQL expression for lease_until of a row that is written now: the database's clock plus
// the lease, which is bound as parameter ("$8").
func (db *DB) leaseEnd(parameter string) string {
	return db.dialect.clock() + ` + CAST(` + parameter + ` AS BIGINT)`
}

// CreateResponse implements store.Responses.
//
// A hidden row with this id is store.ErrConflict: its primary key is taken.
func (db *DB) CreateResponse(ctx context.Context, r store.Response) error {
	if responseSize(r) > db.limits.OwnerBytes {
		return store.ErrTooLarge
	}
	return db.inTx(ctx, func(t *tx) error {
		// An expired row that still lies there doesn't exist.
		if _, err := t.exec(`DELETE FROM responses WHERE owner = $1 AND id = $2 AND expires <= $3`, r.Owner, r.ID, db.now()); err != nil {
			return err
		}
		if _, err := t.exec(`
			INSERT INTO responses (owner, id, previous, status, created, expires, runner, lease_until, revision, object, input, size)
			VALUES ($1, $2, $3, $4, $5, $6, $7, `+db.leaseEnd("$8")+`, 1, $9, $10, $11)`,
			r.Owner, r.ID, r.Previous, r.Status, r.Created, r.Expires, r.Runner, r.Lease, r.Object, r.Input, responseSize(r)); err != nil {
			return err
		}
		return t.evictResponses(r.Owner, r.ID)
	})
}

// UpdateResponse implements store.Responses. The condition on the revision is what makes it safe without
// a lock: of two updates that read the same revision, the second changes no row.
func (db *DB) UpdateResponse(ctx context.Context, r store.Response) error {
	if responseSize(r) > db.limits.OwnerBytes {
		return store.ErrTooLarge
	}
	return db.telling(notice.ResponseRow(store.ResponseRef{Owner: r.Owner, ID: r.ID}), db.inTx(ctx, func(t *tx) error {
		n, err := t.exec(`
			UPDATE responses SET status = $4, object = $5, input = $6, size = $7, expires = $8, runner = $9, lease_until = `+db.leaseEnd("$10")+`,
				revision = revision + 1
			WHERE owner = $1 AND id = $2 AND revision = $3 AND expires > $11 AND NOT hidden`,
			r.Owner, r.ID, r.Revision, r.Status, r.Object, r.Input, responseSize(r), r.Expires, r.Runner, r.Lease, db.now())
		if err != nil {
			return err
		}
		if n == 0 {
			return t.conflictIf(`SELECT count(*) FROM responses WHERE owner = $1 AND id = $2 AND expires > $3 AND NOT hidden`, r.Owner, r.ID, db.now())
		}
		return t.evictResponses(r.Owner, r.ID)
	}))
}

// evictResponses deletes the owner's oldest finished responses until the rest fits. One that is being
// worked on (it has a runner) is never evicted. Hidden ones count and may go like any other.
func (t *tx) evictResponses(owner, keep string) error {
	return t.evict(
		`SELECT count(*), CAST(COALESCE(SUM(size + events_size), 0) AS BIGINT) FROM responses WHERE owner = $1`,
		`DELETE FROM responses WHERE owner = $1 AND id = (
			SELECT id FROM responses WHERE owner = $1 AND id <> $2 AND runner = '' ORDER BY created, id LIMIT 1
		) RETURNING size + events_size`,
		owner, keep)
}

// Response implements store.Responses. A hidden row is not found.
//
// Lease stays 0: it is only written.
func (db *DB) Response(ctx context.Context, owner, id string) (r store.Response, err error) {
	err = db.row(ctx, responseFields(&r),
		`SELECT `+responseColumns+` FROM responses WHERE owner = $1 AND id = $2 AND expires > $3 AND NOT hidden`, owner, id, db.now())
	return r, err
}

// Ancestor implements store.Responses. It finds hidden rows, too.
func (db *DB) Ancestor(ctx context.Context, owner, id string) (r store.Response, err error) {
	err = db.row(ctx, responseFields(&r),
		`SELECT `+responseColumns+` FROM responses WHERE owner = $1 AND id = $2 AND expires > $3`, owner, id, db.now())
	return r, err
}

// DeleteResponse implements store.Responses. If another response continues this one, its row is hidden
// and only its events are deleted; otherwise the row is deleted, and with it every hidden ancestor that
// nothing else continues:
//
//	a ◄── b ◄── c        delete b: hidden, c needs it
//	a ◄── (b) ◄── c      delete c: its row goes, and b's; a stays
func (db *DB) DeleteResponse(ctx context.Context, owner, id string) error {
	return db.telling(notice.ResponseRow(store.ResponseRef{Owner: owner, ID: id}), db.inTx(ctx, func(t *tx) error {
		now := db.now()
		// Revision goes up and the runner goes, so that a job that still works on the response finds out
		// at its next write.
		hidden, err := t.exec(`
			UPDATE responses SET hidden = TRUE, runner = '', lease_until = 0, events_size = 0, revision = revision + 1
			WHERE owner = $1 AND id = $2 AND expires > $3 AND NOT hidden
				AND EXISTS (SELECT 1 FROM responses AS next WHERE next.owner = $1 AND next.previous = $2 AND next.id <> $2 AND next.expires > $3)`,
			owner, id, now)
		if err != nil {
			return err
		}
		if hidden > 0 {
			_, err := t.exec(`DELETE FROM response_events WHERE owner = $1 AND response = $2`, owner, id)
			return err
		}
		var previous string
		if err := t.row([]any{&previous}, `DELETE FROM responses WHERE owner = $1 AND id = $2 AND expires > $3 AND NOT hidden RETURNING previous`, owner, id, now); err != nil {
			return err
		}
		return t.deleteHidden(owner, previous)
	}))
}

// deleteHidden deletes the response id if it is hidden and nobody continues it any more, and then the
// one that it continued, and so on. It scans each row's previous into id for the next round.
func (t *tx) deleteHidden(owner, id string) error {
	for id != "" {
		err := t.row([]any{&id}, `DELETE FROM responses WHERE owner = $1 AND id = $2 AND hidden AND NOT EXISTS (
			SELECT 1 FROM responses AS next WHERE next.owner = $1 AND next.previous = $2) RETURNING previous`, owner, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepHidden deletes the hidden responses whose descendants have expired or were evicted. Each round
// deletes the last links of the chains, so it takes as many rounds as the longest chain has links.
func (db *DB) sweepHidden(ctx context.Context) (total int64, err error) {
	for {
		n, err := db.exec(ctx, `DELETE FROM responses WHERE hidden AND NOT EXISTS (
			SELECT 1 FROM responses AS next WHERE next.owner = responses.owner AND next.previous = responses.id)`)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// RenewLeases implements store.Responses. It is one transaction for all jobs; a process has few. It
// begins with probe, so that nil says that the database can be written even when there is no job.
func (db *DB) RenewLeases(ctx context.Context, runner string, jobs []store.ResponseRef, lease time.Duration) (held []store.ResponseRef, err error) {
	err = db.inTx(ctx, func(t *tx) error {
		// inTx may call this more than once.
		held = nil
		if err := t.probe(); err != nil {
			return err
		}
		for _, job := range jobs {
			n, err := t.exec(`UPDATE responses SET lease_until = `+db.leaseEnd("$4")+`
				WHERE owner = $1 AND id = $2 AND runner = $3 AND runner <> '' AND expires > $5`, job.Owner, job.ID, runner, lease, db.now())
			if err != nil {
				return err
			}
			if n > 0 {
				held = append(held, job)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// AbandonedResponses implements store.Responses. It changes nothing: of several processes that find the same row, the first to
// update it wins.
func (db *DB) AbandonedResponses(ctx context.Context, self string, limit int) ([]store.Response, error) {
	return queryAll(ctx, db, responseFields, `
		SELECT `+responseColumns+` FROM responses
		WHERE runner <> '' AND runner <> $1 AND lease_until < `+db.dialect.clock()+` AND expires > $2
		ORDER BY lease_until, owner, id LIMIT $3`, self, db.now(), limit)
}

// AppendEvents implements store.Events. The update of events_size comes first: it locks the row, so a
// response can't be deleted between. A number that exists already is store.ErrConflict, and nothing is stored.
func (db *DB) AppendEvents(ctx context.Context, owner, responseID string, events []store.Event) error {
	var size int64
	for _, e := range events {
		size += int64(len(e.Data))
	}
	return db.telling(notice.ResponseEvents(store.ResponseRef{Owner: owner, ID: responseID}), db.inTx(ctx, func(t *tx) error {
		if err := t.exec1(`UPDATE responses SET events_size = events_size + $3 WHERE owner = $1 AND id = $2 AND expires > $4 AND NOT hidden`,
			owner, responseID, size, db.now()); err != nil {
			return err
		}
		for _, e := range events {
			if _, err := t.exec(`INSERT INTO response_events (owner, response, sequence, data) VALUES ($1, $2, $3, $4)`,
				owner, responseID, e.Sequence, e.Data); err != nil {
				return err
			}
		}
		return nil
	}))
}

// ListEvents implements store.Events. Events of a response that is hidden or has expired are not found, and that is no error: the
// list is empty.
func (db *DB) ListEvents(ctx context.Context, owner, responseID string, after int64, limit int) ([]store.Event, error) {
	return queryAll(ctx, db, func(e *store.Event) []any { return []any{&e.Sequence, &e.Data} }, `
		SELECT sequence, data FROM response_events
		JOIN responses ON responses.owner = response_events.owner AND responses.id = response
		WHERE response_events.owner = $1 AND response = $2 AND sequence > $3 AND expires > $4 AND NOT hidden
		ORDER BY sequence LIMIT $5`, owner, responseID, after, db.now(), limit)
}
