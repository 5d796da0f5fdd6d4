package bounded_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/bounded"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/store/storetest"
)

func TestBoundedPassesTheExam(t *testing.T) {
	t.Parallel()
	storetest.Test(t, func(t *testing.T) storetest.Open {
		dsn := filepath.Join(t.TempDir(), "test.db")
		return func(t *testing.T, limits store.Limits, now func() time.Time) store.Store {
			db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn, Limits: limits, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			return bounded.New(db, time.Minute, nil) // not of a machine that is busy with other tests
		}
	})
}

// A stub answers two methods; the others aren't called.
type stub struct {
	store.Store
	read, write func(context.Context) error
}

func (s stub) Response(ctx context.Context, _, _ string) (store.Response, error) {
	return store.Response{ID: "resp_1"}, s.read(ctx)
}

func (s stub) UpdateResponse(ctx context.Context, _ store.Response) error { return s.write(ctx) }

func hang(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestAStoreThatHangsIsUnavailableInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bounded.New(stub{read: hang, write: hang}, 3*time.Second, nil)
		for name, call := range map[string]func(context.Context) error{
			"read":  func(ctx context.Context) error { _, err := b.Response(ctx, "", ""); return err },
			"write": func(ctx context.Context) error { return b.UpdateResponse(ctx, store.Response{}) },
		} {
			began := time.Now()
			if err := call(t.Context()); !errors.Is(err, store.ErrUnavailable) || time.Since(began) != 3*time.Second {
				t.Errorf("%s: %v after %s", name, err, time.Since(began))
			}
			// A caller that leaves before has nothing to do with the store's health.
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := call(ctx); errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s of a caller that leaves: %v", name, err)
			}
			cancel()
		}
	})
}

func TestAReadIsTriedTwiceAndAWriteOnce(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want int
	}{"unavailable": {store.ErrUnavailable, 2}, "not found": {store.ErrNotFound, 1}} {
		calls := 0
		fail := func(context.Context) error { calls++; return test.err }
		b := bounded.New(stub{read: fail, write: fail}, time.Second, nil)
		if _, err := b.Response(t.Context(), "", ""); !errors.Is(err, test.err) || calls != test.want {
			t.Errorf("%s: %d reads, %v", name, calls, err)
		}
		calls = 0
		if err := b.UpdateResponse(t.Context(), store.Response{}); !errors.Is(err, test.err) || calls != 1 {
			t.Errorf("%s: %d writes, %v", name, calls, err)
		}
	}
	calls := 0
	b := bounded.New(stub{read: func(context.Context) error {
		if calls++; calls == 1 {
			return store.ErrUnavailable
		}
		return nil
	}}, time.Second, nil)
	if r, err := b.Response(t.Context(), "", ""); err != nil || r.ID != "resp_1" {
		t.Errorf("the second read gives %+v, %v", r, err)
	}
}
