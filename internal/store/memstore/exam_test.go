package memstore_test

import (
	"testing"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/memstore"
	"composer-api/internal/store/storetest"
)

func TestExam(t *testing.T) {
	storetest.Test(t, fresh)
	storetest.TestComplete(t, fresh)
}

func fresh(*testing.T) storetest.Open {
	var db *memstore.Database
	return func(t *testing.T, limits store.Limits, now func() time.Time) store.Store {
		if db == nil {
			db = memstore.New(memstore.Config{Limits: limits, Now: now})
		}
		return db.Open()
	}
}
