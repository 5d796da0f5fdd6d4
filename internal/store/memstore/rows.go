package memstore

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"composer-api/internal/store"
)

// clean is text as databases keep it: valid UTF-8 without NUL.
//
// PostgreSQL refuses both in a text.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// stamp is a time as databases keep it: milliseconds, UTC.
//
// The zero time stays zero: it says "never", and would else become a date in the year 1.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Truncate(time.Millisecond).UTC()
}

// copied is a copy of bytes; none is nil.
//
// Every byte slice passes through it on its way in and out, so no caller can change a row by
// changing what it has.
func copied(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}

// An evictable is a row that the limits count.
//
// The tables have different rows; this is what evict has to know of each.
type evictable struct {
	// key is what remove gets. created and size decide who goes first, and whether anybody must.
	key     rowKey
	created time.Time
	size    int64
	stays   bool // it may not be deleted
}

// evict deletes an owner's oldest rows until the rest is within the limits. all are the owner's rows; keep is the one at
// hand, which stays. db.mu is held.
//
// When all that is left must stay, the owner is over the limit for a while: that is no error.
func (db *Database) evict(all []evictable, keep rowKey, remove func(rowKey)) {
	slices.SortFunc(all, func(a, b evictable) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.key.id, b.key.id))
	})
	rows, size := int64(len(all)), int64(0)
	for _, e := range all {
		size += e.size
	}
	for _, e := range all {
		if rows <= db.limits.OwnerRows && size <= db.limits.OwnerBytes {
			return
		}
		// Both still count, so the ones that may go have to make up for them.
		if e.key == keep || e.stays {
			continue
		}
		remove(e.key)
		rows, size = rows-1, size-e.size
	}
}

// paged cuts a page out of a list that is in order. id is how a row is named. ErrNotFound: page.After is not in it.
//
// It may turn all around in place, so callers give a list of their own.
func paged[T any](all []T, page store.Page, id func(T) string) ([]T, error) {
	if page.Descending {
		slices.Reverse(all)
	}
	if page.After != "" {
		i := slices.IndexFunc(all, func(v T) bool { return id(v) == page.After })
		if i < 0 {
			return nil, store.ErrNotFound
		}
		all = all[i+1:]
	}
	return all[:min(len(all), page.Limit)], nil
}
