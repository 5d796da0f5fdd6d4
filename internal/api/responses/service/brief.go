package service

import (
	"context"
	"slices"
	"sync"
	"time"

	"composer-api/internal/api/responses"
	"composer-api/internal/lru"
	"composer-api/internal/store"
)

// A brief store keeps the background responses that are not to be stored: in memory while they run and for ten minutes
// after their end, so that their client can fetch them. Everything else goes through to the store behind it, and so does
// what is asked about others' responses. So a job, and whoever reads, cancels or deletes a response, needn't know which
// kind it is.
//
// What is in it ends with the process, and can't be continued: a response that is stored would lack its beginning. Other
// replicas are told who has it (hold), and send on what they are asked.
//
//	a response is     in
//	running           running, until its job stores the end
//	ended             ended, for briefAge or until there is no room
//	unknown           the store behind is asked
//
// mu guards both tables and the rows in them. It is not held while the store behind is asked.
//
//	job, routes ──► brief ──► Store: bounded, sealed, sqlstore
//	                  └ rows with store: false
type brief struct {
	Store

	mu      sync.Mutex
	running map[store.ResponseRef]*briefRow
	ended   *lru.Cache[store.ResponseRef, *briefRow]
}

// A briefRow is one response. The lock of brief guards it.
type briefRow struct {
	row    store.Response
	events []store.Event // in order; the bytes are the journal's
}

const (
	// briefAge is how long a response is kept after its end.
	briefAge = 10 * time.Minute
	// maxBriefBytes bounds the responses that have ended, with their events. Those that run are bounded by the limits on
	// jobs and on the events of jobs.
	maxBriefBytes = 64 << 20
)

// heldTime is for how long other replicas ask this one for a response. It is longer than any runs and is kept.
const heldTime = 24 * time.Hour

// hold tells other replicas of a response that is kept briefly. It returns when they can know.
func (s *Service) hold(rec *record) {
	if rec.brief && s.cfg.Held != nil {
		s.cfg.Held(rec.row.Owner, rec.row.ID, heldTime)
	}
}

// newBrief makes a brief store in front of another one. It has nothing to close.
func newBrief(behind Store) *brief {
	return &brief{
		Store: behind, running: map[store.ResponseRef]*briefRow{},
		ended: lru.New[store.ResponseRef, *briefRow](lru.Limits{Bytes: maxBriefBytes, Age: briefAge}),
	}
}

// create adds a new response, which will have the revision 1. There is nothing that could fail,
// so a brief response needs no store to begin.
func (b *brief) create(r store.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Revision = 1
	b.running[store.ResponseRef{Owner: r.Owner, ID: r.ID}] = &briefRow{row: r}
}

// find is the response, if it is here. The caller holds mu.
func (b *brief) find(owner, id string) *briefRow {
	ref := store.ResponseRef{Owner: owner, ID: id}
	if r := b.running[ref]; r != nil {
		return r
	}
	if r, ok := b.ended.Get(ref); ok && time.Now().Before(r.row.Expires) {
		return r
	}
	return nil
}

// has reports whether a response is here.
func (b *brief) has(owner, id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.find(owner, id) != nil
}

// UpdateResponse implements store.Responses. The lock isn't held while the store behind is asked. The
// revision is checked as a store does it: the job and a client that cancels may change the row at once.
func (b *brief) UpdateResponse(ctx context.Context, r store.Response) error {
	b.mu.Lock()
	kept := b.find(r.Owner, r.ID)
	if kept == nil {
		b.mu.Unlock()
		return b.Store.UpdateResponse(ctx, r)
	}
	defer b.mu.Unlock()
	if kept.row.Revision != r.Revision {
		return store.ErrConflict
	}
	r.Revision++
	kept.row = r
	if responses.Status(r.Status).Ended() {
		kept.row.Expires = time.Now().Add(briefAge)
		b.end(kept)
	}
	return nil
}

// end moves a response to those that have ended. The caller holds mu. It may be called again
// when more events have come; the row then counts with its new size.
//
// What doesn't fit is dropped by the cache, the one used longest ago first.
func (b *brief) end(r *briefRow) {
	ref := store.ResponseRef{Owner: r.row.Owner, ID: r.row.ID}
	delete(b.running, ref)
	size := len(r.row.Object) + len(r.row.Input)
	for _, e := range r.events {
		size += len(e.Data)
	}
	b.ended.Put(ref, r, size)
}

// Response implements store.Responses. The row is a copy, but its bytes are shared and must not be changed.
func (b *brief) Response(ctx context.Context, owner, id string) (store.Response, error) {
	b.mu.Lock()
	kept := b.find(owner, id)
	if kept != nil {
		row := kept.row
		b.mu.Unlock()
		return row, nil
	}
	b.mu.Unlock()
	return b.Store.Response(ctx, owner, id)
}

// DeleteResponse implements store.Responses. A job that still runs finds out when it writes
// next, or renews its lease.
func (b *brief) DeleteResponse(ctx context.Context, owner, id string) error {
	b.mu.Lock()
	if b.find(owner, id) == nil {
		b.mu.Unlock()
		return b.Store.DeleteResponse(ctx, owner, id)
	}
	defer b.mu.Unlock()
	ref := store.ResponseRef{Owner: owner, ID: id}
	delete(b.running, ref)
	b.ended.Delete(ref)
	return nil
}

// RenewLeases implements store.Responses. What is here is held until it is deleted. Leases say
// nothing here, because nobody else can take these responses over.
func (b *brief) RenewLeases(ctx context.Context, runner string, jobs []store.ResponseRef, lease time.Duration) ([]store.ResponseRef, error) {
	var here, elsewhere []store.ResponseRef
	b.mu.Lock()
	for _, job := range jobs {
		if b.running[job] != nil {
			here = append(here, job)
		} else {
			elsewhere = append(elsewhere, job)
		}
	}
	b.mu.Unlock()
	held, err := b.Store.RenewLeases(ctx, runner, elsewhere, lease)
	if err != nil {
		return nil, err
	}
	return append(here, held...), nil
}

// AppendEvents implements store.Events. Events may come after the response has ended: the two goroutines of a job don't wait for
// each other.
func (b *brief) AppendEvents(ctx context.Context, owner, responseID string, events []store.Event) error {
	b.mu.Lock()
	kept := b.find(owner, responseID)
	if kept == nil {
		b.mu.Unlock()
		return b.Store.AppendEvents(ctx, owner, responseID, events)
	}
	defer b.mu.Unlock()
	// Sequence numbers are indexes here, without gaps.
	if len(events) > 0 && events[0].Sequence != int64(len(kept.events)) {
		return store.ErrConflict
	}
	kept.events = append(kept.events, events...)
	if responses.Status(kept.row.Status).Ended() {
		b.end(kept) // with its new size
	}
	return nil
}

// ListEvents implements store.Events.
func (b *brief) ListEvents(ctx context.Context, owner, responseID string, after int64, limit int) ([]store.Event, error) {
	b.mu.Lock()
	kept := b.find(owner, responseID)
	if kept == nil {
		b.mu.Unlock()
		return b.Store.ListEvents(ctx, owner, responseID, after, limit)
	}
	defer b.mu.Unlock()
	first := min(int(after)+1, len(kept.events))
	return slices.Clone(kept.events[first:min(first+limit, len(kept.events))]), nil
}
