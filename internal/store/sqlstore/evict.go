package sqlstore

import (
	"errors"

	"composer-api/internal/store"
)

// evict keeps an owner within the limits. totals is a query for the owner's rows and bytes, and
// deleteOldest a statement that deletes the oldest row that may go and returns its bytes. keep are its
// arguments after the owner: they name the row at hand, which stays. What may not go (it is being worked
// on) can leave an owner over the limits for a while.
//
// Counting reads one index that contains everything both statements need; see the migrations. In the
// usual case, an owner at the limit who stores one row, one row is deleted.
//
// It runs in the transaction of the write, after it, so the row at hand is counted.
func (t *tx) evict(totals, deleteOldest, owner string, keep ...any) error {
	var rows, bytes int64
	if err := t.row([]any{&rows, &bytes}, totals, owner); err != nil {
		return err
	}
	for rows > t.db.limits.OwnerRows || bytes > t.db.limits.OwnerBytes {
		var size int64
		err := t.row([]any{&size}, deleteOldest, append([]any{owner}, keep...)...)
		// Nothing is left that may be deleted.
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rows, bytes = rows-1, bytes-size
	}
	return nil
}
