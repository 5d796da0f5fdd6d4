package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/notice"
)

// A responseRow is a response, its events by their numbers, and what only statements read.
//
//	CreateResponse ──► found by Response and Ancestor
//	      │ DeleteResponse
//	      ▼
//	   hidden: found by Ancestor alone ── nobody continues it ──► gone (dropUnneeded)
type responseRow struct {
	store.Response
	// By time.Now and not by the Database's clock, which stands for the clocks of the processes.
	leaseUntil time.Time
	// By their sequence number. Never nil, and empty for a response that is hidden.
	events map[int64][]byte
	// The sum of the events' bytes, which counts towards the owner's limit.
	eventBytes int64
	hidden     bool // deleted, but others continue it
}

// size is how many bytes the response counts towards its owner's limit.
func (r *responseRow) size() int64 { return int64(len(r.Object)+len(r.Input)) + r.eventBytes }

// read is a copy for the caller.
func (r *responseRow) read() store.Response {
	v := r.Response
	v.Object, v.Input, v.Lease = copied(v.Object), copied(v.Input), 0
	return v
}

// found is a response that is there and not hidden; nil otherwise. db.mu is held.
func (db *Database) found(owner, id string) *responseRow {
	r := db.responses[rowKey{owner: owner, id: id}]
	if r == nil || r.hidden || db.over(r.Expires) {
		return nil
	}
	return r
}

// tooLarge reports whether the response alone is over the limit, so that no eviction could help.
// Its events are not known here and come on top.
func (db *Database) tooLarge(r *store.Response) bool {
	return int64(len(r.Object)+len(r.Input)) > db.limits.OwnerBytes
}

// evictResponses makes room for the owner of keep. A response that somebody works on counts, but
// stays: its runner would lose its work. db.mu is held.
func (db *Database) evictResponses(keep rowKey) {
	var all []evictable
	for k, r := range db.responses {
		if k.owner == keep.owner {
			all = append(all, evictable{key: k, created: r.Created, size: r.size(), stays: r.Runner != ""})
		}
	}
	db.evict(all, keep, func(k rowKey) { delete(db.responses, k) })
}

// dropUnneeded deletes the hidden responses that nobody continues any more, and returns how many. db.mu is held.
//
// Dropping one may leave its own predecessor without a successor, so it goes on until a round drops
// none.
func (db *Database) dropUnneeded() (gone int64) {
	for {
		needed := map[rowKey]bool{}
		for k, r := range db.responses {
			// Also one that has expired still needs its predecessor, until it is swept.
			// Rows without a predecessor need the id "", which none has.
			needed[rowKey{owner: k.owner, id: r.Previous}] = true
		}
		before := len(db.responses)
		maps.DeleteFunc(db.responses, func(k rowKey, r *responseRow) bool { return r.hidden && !needed[k] })
		dropped := int64(before - len(db.responses))
		if dropped == 0 {
			return gone
		}
		gone += dropped
	}
}

// CreateResponse implements store.Responses.
func (s *Store) CreateResponse(ctx context.Context, r store.Response) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// Before the id is looked up, as in SQL, where it needs no transaction.
	if s.db.tooLarge(&r) {
		return store.ErrTooLarge
	}
	k := rowKey{owner: r.Owner, id: r.ID}
	// The id of a hidden response is taken: what continues it would get another context.
	if old := s.db.responses[k]; old != nil && (old.hidden || !s.db.over(old.Expires)) {
		return store.ErrConflict
	}
	row := &responseRow{Response: r, events: map[int64][]byte{}, leaseUntil: time.Now().Add(r.Lease)}
	row.Object, row.Input = copied(r.Object), copied(r.Input)
	row.Created, row.Expires, row.Revision = stamp(r.Created), stamp(r.Expires), 1
	s.db.responses[k] = row
	s.db.evictResponses(k)
	return nil
}

// UpdateResponse implements store.Responses.
func (s *Store) UpdateResponse(ctx context.Context, r store.Response) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	row := s.db.found(r.Owner, r.ID)
	switch {
	case s.db.tooLarge(&r):
		return store.ErrTooLarge
	case row == nil:
		return store.ErrNotFound
	case row.Revision != r.Revision:
		return store.ErrConflict
	}
	// Owner, ID, Previous and Created never change. Runner does: "" ends the job.
	row.Status, row.Object, row.Input = r.Status, copied(r.Object), copied(r.Input)
	// A lease of 0 ends now, which is right for a row without a runner.
	row.Expires, row.Runner, row.leaseUntil = stamp(r.Expires), r.Runner, time.Now().Add(r.Lease)
	row.Revision++
	s.db.evictResponses(rowKey{owner: r.Owner, id: r.ID})
	s.db.hub.Tell(notice.ResponseRow(store.ResponseRef{Owner: r.Owner, ID: r.ID}))
	return nil
}

// Response implements store.Responses.
func (s *Store) Response(ctx context.Context, owner, id string) (store.Response, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Response{}, err
	}
	defer done()
	if r := s.db.found(owner, id); r != nil {
		return r.read(), nil
	}
	return store.Response{}, store.ErrNotFound
}

// Ancestor implements store.Responses.
func (s *Store) Ancestor(ctx context.Context, owner, id string) (store.Response, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Response{}, err
	}
	defer done()
	// Not found: a hidden response is exactly what this method is for.
	r := s.db.responses[rowKey{owner: owner, id: id}]
	if r == nil || s.db.over(r.Expires) {
		return store.Response{}, store.ErrNotFound
	}
	return r.read(), nil
}

// DeleteResponse implements store.Responses.
func (s *Store) DeleteResponse(ctx context.Context, owner, id string) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	r := s.db.found(owner, id)
	if r == nil {
		return store.ErrNotFound
	}
	// Without a runner its lease can't be renewed, by which a job that still works on it learns
	// that it is to stop.
	r.hidden, r.Runner, r.events, r.eventBytes = true, "", map[int64][]byte{}, 0
	// A job that read the row before the deletion can't write it back.
	r.Revision++
	s.db.dropUnneeded()
	s.db.hub.Tell(notice.ResponseRow(store.ResponseRef{Owner: owner, ID: id}))
	return nil
}

// RenewLeases implements store.Responses.
func (s *Store) RenewLeases(ctx context.Context, runner string, jobs []store.ResponseRef, lease time.Duration) ([]store.ResponseRef, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var still []store.ResponseRef
	for _, j := range jobs {
		// What others have finished, cancelled or taken over is left out, and the revision stays.
		if r := s.db.found(j.Owner, j.ID); r != nil && runner != "" && r.Runner == runner {
			r.leaseUntil = time.Now().Add(lease)
			still = append(still, j)
		}
	}
	return still, nil
}

// AbandonedResponses implements store.Responses.
func (s *Store) AbandonedResponses(ctx context.Context, self string, limit int) ([]store.Response, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var rows []*responseRow
	for k := range s.db.responses {
		// Its own are left out: a process knows which jobs it works on.
		if r := s.db.found(k.owner, k.id); r != nil && r.Runner != "" && r.Runner != self && r.leaseUntil.Before(time.Now()) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *responseRow) int {
		// The longest abandoned first. Owner and id make the order the same in every run.
		return cmp.Or(a.leaseUntil.Compare(b.leaseUntil), cmp.Compare(a.Owner+a.ID, b.Owner+b.ID))
	})
	var list []store.Response
	for _, r := range rows[:min(len(rows), limit)] {
		list = append(list, r.read())
	}
	return list, nil
}

// AppendEvents implements store.Events.
func (s *Store) AppendEvents(ctx context.Context, owner, responseID string, events []store.Event) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	r := s.db.found(owner, responseID)
	if r == nil {
		return store.ErrNotFound
	}
	for _, e := range events {
		// All are looked at before one is written: a batch is taken whole or not at all.
		if _, known := r.events[e.Sequence]; known {
			return store.ErrConflict
		}
	}
	for _, e := range events {
		r.events[e.Sequence] = copied(e.Data)
		r.eventBytes += int64(len(e.Data))
	}
	s.db.hub.Tell(notice.ResponseEvents(store.ResponseRef{Owner: owner, ID: responseID}))
	return nil
}

// ListEvents implements store.Events.
func (s *Store) ListEvents(ctx context.Context, owner, responseID string, after int64, limit int) ([]store.Event, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	r := s.db.found(owner, responseID)
	if r == nil {
		// No error, as the interface says: there are no events.
		return nil, nil
	}
	var list []store.Event
	for n, data := range r.events {
		if n > after {
			list = append(list, store.Event{Sequence: n, Data: copied(data)})
		}
	}
	slices.SortFunc(list, func(a, b store.Event) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return list[:min(len(list), limit)], nil
}

// conversationKey names a conversation. Two backends may keep one for the same transcript.
func conversationKey(owner, backend string, hash []byte) rowKey {
	return rowKey{owner: owner, id: string(hash), backend: backend}
}

// PutConversation implements store.Conversations.
func (s *Store) PutConversation(ctx context.Context, c store.Conversation) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if int64(len(c.Data)) > s.db.limits.OwnerBytes {
		return store.ErrTooLarge
	}
	k := conversationKey(c.Owner, c.Backend, c.Hash)
	c.Hash, c.Data, c.Created, c.Expires = copied(c.Hash), copied(c.Data), stamp(c.Created), stamp(c.Expires)
	// One with the same key is replaced, and is then as new as c is.
	s.db.conversations[k] = &c
	var all []evictable
	for other, v := range s.db.conversations {
		if other.owner == c.Owner {
			all = append(all, evictable{key: other, created: v.Created, size: int64(len(v.Data))})
		}
	}
	s.db.evict(all, k, func(k rowKey) { delete(s.db.conversations, k) })
	return nil
}

// Conversation implements store.Conversations.
func (s *Store) Conversation(ctx context.Context, owner, backend string, hash []byte) (store.Conversation, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Conversation{}, err
	}
	defer done()
	c := s.db.conversations[conversationKey(owner, backend, hash)]
	if c == nil || s.db.over(c.Expires) {
		return store.Conversation{}, store.ErrNotFound
	}
	// A copy of the struct, and of its bytes below.
	v := *c
	v.Hash, v.Data = copied(v.Hash), copied(v.Data)
	return v, nil
}

// DeleteConversation implements store.Conversations.
func (s *Store) DeleteConversation(ctx context.Context, owner, backend string, hash []byte) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// No error when there is none, as for sessions.
	delete(s.db.conversations, conversationKey(owner, backend, hash))
	return nil
}
