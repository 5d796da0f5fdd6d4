package sqlstore_test

import (
	"fmt"
	"testing"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
)

// BenchmarkCreateResponse is what storing a response costs somebody who has thousands already: the disk's
// synchronisation, and the search for what has become too much.
func BenchmarkCreateResponse(b *testing.B) {
	for _, kept := range []int{0, 5_000} {
		b.Run(fmt.Sprintf("kept=%d", kept), func(b *testing.B) {
			db, err := sqlstore.Open(b.Context(), sqlstore.Config{DSN: b.TempDir() + "/composer.db"})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			start := time.Now()
			create := func(i int) {
				r := store.Response{
					Owner: "k:1", ID: fmt.Sprint("resp_", i), Object: make([]byte, 6_000), Input: make([]byte, 6_000),
					Created: start.Add(time.Duration(i) * time.Millisecond), Expires: start.Add(time.Hour),
				}
				if err := db.CreateResponse(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			for i := range kept {
				create(i)
			}
			b.ResetTimer()
			for i := range b.N {
				create(kept + i)
			}
		})
	}
}
