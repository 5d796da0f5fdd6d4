package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"composer-api/internal/store"
)

// A documentRow is a document and its parts, in order.
//
// The parts are never changed in place: each change makes a new slice, or works on one that no
// caller has ever been given.
type documentRow struct {
	store.Document
	// parts are in the order in which they were added.
	parts []store.DocumentPart
}

// size is how many bytes the document counts towards its owner's limit.
func (d *documentRow) size() int64 { return int64(len(d.Data)) + partsSize(d.parts) }

// read is a copy for the caller. Parts are read by calls of their own.
// It copies the content, which is a caller's to change from then on.
func (d *documentRow) read() store.Document {
	v := d.Document
	v.Data = copied(v.Data)
	return v
}

// partsSize counts each part with its overhead, so that many empty parts are bounded, too.
func partsSize(parts []store.DocumentPart) (size int64) {
	for _, p := range parts {
		size += int64(len(p.Data)) + store.PartOverhead
	}
	return size
}

// document is one that is there; nil otherwise. db.mu is held.
func (db *Database) document(owner, id string) *documentRow {
	d := db.documents[rowKey{owner: owner, id: id}]
	if d == nil || db.over(d.Expires) {
		return nil
	}
	return d
}

// evictDocuments makes room for the owner of keep. Nothing of a document stays behind: it has its
// parts in its own row. db.mu is held.
func (db *Database) evictDocuments(keep rowKey) {
	var all []evictable
	for k, d := range db.documents {
		if k.owner == keep.owner {
			all = append(all, evictable{key: k, created: d.Created, size: d.size()})
		}
	}
	db.evict(all, keep, func(k rowKey) { delete(db.documents, k) })
}

// with is parts and more, as copies; ErrConflict when two have one id.
//
// It is quadratic in the number of parts, which is fine for tests.
func with(parts, more []store.DocumentPart) ([]store.DocumentPart, error) {
	all := slices.Clone(parts)
	for _, p := range more {
		if slices.ContainsFunc(all, func(q store.DocumentPart) bool { return q.ID == p.ID }) {
			return nil, store.ErrConflict
		}
		all = append(all, store.DocumentPart{ID: p.ID, Data: copied(p.Data)})
	}
	return all, nil
}

// CreateDocument implements store.Documents.
func (s *Store) CreateDocument(ctx context.Context, d store.Document, parts []store.DocumentPart) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// Checked before anything is evicted: a document that can't fit must not cost others.
	if int64(len(d.Data))+partsSize(parts) > s.db.limits.OwnerBytes {
		return store.ErrTooLarge
	}
	// A row that has expired and was not swept yet is in nobody's way: it is overwritten.
	if s.db.document(d.Owner, d.ID) != nil {
		return store.ErrConflict
	}
	all, err := with(nil, parts)
	if err != nil {
		return err
	}
	// The revision of the caller doesn't matter here.
	d.Data, d.Created, d.Expires, d.Revision = copied(d.Data), stamp(d.Created), stamp(d.Expires), 1
	k := rowKey{owner: d.Owner, id: d.ID}
	s.db.documents[k] = &documentRow{d, all}
	s.db.evictDocuments(k)
	return nil
}

// UpdateDocument implements store.Documents.
func (s *Store) UpdateDocument(ctx context.Context, d store.Document) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	row := s.db.document(d.Owner, d.ID)
	switch {
	// Without the parts, which the caller doesn't know; evictDocuments counts them.
	case int64(len(d.Data)) > s.db.limits.OwnerBytes:
		return store.ErrTooLarge
	case row == nil:
		return store.ErrNotFound
	// Somebody else has changed the document since the caller read it.
	case row.Revision != d.Revision:
		return store.ErrConflict
	}
	// Kind and Created stay: they say what the document is and where it stands in lists.
	row.Data, row.Expires = copied(d.Data), stamp(d.Expires)
	row.Revision++
	s.db.evictDocuments(rowKey{owner: d.Owner, id: d.ID})
	return nil
}

// Document implements store.Documents.
func (s *Store) Document(ctx context.Context, owner, id string) (store.Document, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Document{}, err
	}
	defer done()
	if d := s.db.document(owner, id); d != nil {
		return d.read(), nil
	}
	return store.Document{}, store.ErrNotFound
}

// ListDocuments implements store.Documents.
func (s *Store) ListDocuments(ctx context.Context, owner, kind string, page store.Page) ([]store.Document, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var all []store.Document
	for k, d := range s.db.documents {
		if k.owner == owner && d.Kind == kind && !s.db.over(d.Expires) {
			all = append(all, d.read())
		}
	}
	slices.SortFunc(all, func(a, b store.Document) int {
		// The id decides between documents of one millisecond. Without that, two pages could show
		// one twice and another never.
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return paged(all, page, func(d store.Document) string { return d.ID })
}

// DeleteDocument implements store.Documents.
func (s *Store) DeleteDocument(ctx context.Context, owner, id string) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if s.db.document(owner, id) == nil {
		return store.ErrNotFound
	}
	delete(s.db.documents, rowKey{owner: owner, id: id})
	return nil
}

// AddParts implements store.Documents.
func (s *Store) AddParts(ctx context.Context, owner, document string, expires time.Time, parts []store.DocumentPart) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	d := s.db.document(owner, document)
	switch {
	case d == nil:
		return store.ErrNotFound
	// Evicting others can't help a document that is too large by itself.
	case d.size()+partsSize(parts) > s.db.limits.OwnerBytes:
		return store.ErrTooLarge
	}
	// A new slice, which takes the place of the old one only when nothing has failed.
	all, err := with(d.parts, parts)
	if err != nil {
		return err
	}
	d.parts = all
	// The end moves forward only: of two callers at once the later end counts.
	if e := stamp(expires); e.After(d.Expires) {
		d.Expires = e
	}
	s.db.evictDocuments(rowKey{owner: owner, id: document})
	return nil
}

// DocumentPart implements store.Documents.
func (s *Store) DocumentPart(ctx context.Context, owner, document, id string) (store.DocumentPart, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.DocumentPart{}, err
	}
	defer done()
	if d := s.db.document(owner, document); d != nil {
		for _, p := range d.parts {
			if p.ID == id {
				return store.DocumentPart{ID: p.ID, Data: copied(p.Data)}, nil
			}
		}
	}
	return store.DocumentPart{}, store.ErrNotFound
}

// ListParts implements store.Documents.
func (s *Store) ListParts(ctx context.Context, owner, document string, page store.Page) ([]store.DocumentPart, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	d := s.db.document(owner, document)
	if d == nil {
		return nil, store.ErrNotFound
	}
	// The error is for a part that is there twice, which can't be: they were checked when they were
	// added.
	all, _ := with(nil, d.parts)
	return paged(all, page, func(p store.DocumentPart) string { return p.ID })
}

// DeletePart implements store.Documents.
func (s *Store) DeletePart(ctx context.Context, owner, document, id string) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	d := s.db.document(owner, document)
	if d == nil {
		return store.ErrNotFound
	}
	i := slices.IndexFunc(d.parts, func(p store.DocumentPart) bool { return p.ID == id })
	if i < 0 {
		return store.ErrNotFound
	}
	// In place, which is safe: ListParts gives copies.
	d.parts = slices.Delete(d.parts, i, i+1)
	return nil
}
