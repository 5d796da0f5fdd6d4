package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"composer-api/internal/store"
)

// CountAttempt implements store.Attempts. The times of one Who are in one row: few numbers, because what is refused is not
// added. The insert locks the row, or makes it, so that attempts at the same time wait for each other.
func (db *DB) CountAttempt(ctx context.Context, a store.Attempt) (again time.Time, err error) {
	err = db.inTx(ctx, func(t *tx) error {
		again = time.Time{}
		var text string
		if err := t.row([]any{&text}, `
			INSERT INTO attempts (who, times, expires) VALUES ($1, '[]', $2)
			ON CONFLICT (who) DO UPDATE SET expires = attempts.expires RETURNING times`, a.Who, a.At); err != nil {
			return err
		}
		var times []int64
		if err := json.Unmarshal([]byte(text), &times); err != nil {
			return fmt.Errorf("the times of attempts: %w", err)
		}
		// The times are in order. What has left the window of this attempt is forgotten.
		for len(times) > 0 && times[0] <= millis(a.At.Add(-a.Window)) {
			times = times[1:]
		}
		if len(times) >= a.Most {
			// Room comes when the oldest leaves. The row stays as it is, so the refusal costs nothing later.
			again = time.UnixMilli(times[0]).Add(a.Window).UTC()
			return nil
		}
		// Milliseconds since 1970, oldest first, because callers' times go up but for the clocks of replicas.
		kept, err := json.Marshal(append(times, millis(a.At)))
		if err != nil {
			return err
		}
		return t.exec1(`UPDATE attempts SET times = $2, expires = $3 WHERE who = $1`, a.Who, string(kept), a.At.Add(a.Window))
	})
	return again, err
}
