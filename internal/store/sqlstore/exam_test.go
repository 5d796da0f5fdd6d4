package sqlstore_test

import (
	"testing"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sealed"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/store/storetest"
)

func TestSQLitePassesTheExam(t *testing.T) {
	t.Parallel()
	storetest.Test(t, func(t *testing.T) storetest.Open { return openAt(sqliteDSN(t)) })
}

func TestPostgreSQLPassesTheExam(t *testing.T) {
	t.Parallel()
	fresh := func(t *testing.T) storetest.Open { return openAt(storetest.Postgres(t)) }
	storetest.Test(t, fresh)
	storetest.TestComplete(t, fresh)
}

// Poolers of transactions don't go together with prepared statements that pgx remembers for a connection.
func TestPostgreSQLPassesTheExamInEveryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"exec", "simple_protocol", "describe_exec"} {
		t.Run(mode, func(t *testing.T) {
			storetest.Test(t, func(t *testing.T) storetest.Open {
				return openAt(storetest.Postgres(t) + "&pool_max_conns=3&pool_max_conn_lifetime=1m&default_query_exec_mode=" + mode)
			})
		})
	}
}

func TestPgBouncerPassesTheExam(t *testing.T) {
	storetest.Test(t, func(t *testing.T) storetest.Open { return openAt(storetest.PgBouncer(t)) })
	storetest.TestComplete(t, func(t *testing.T) storetest.Open {
		dsn := storetest.PgBouncer(t)
		return func(t *testing.T, limits store.Limits, now func() time.Time) store.Store {
			return open(t, sqlstore.Config{DSN: dsn, Listen: storetest.Behind(t, dsn), Limits: limits, Now: now})
		}
	})
}

func TestSealedPassesTheExam(t *testing.T) {
	t.Parallel()
	for name, ring := range map[string]*seal.Ring{"with a key": seal.Random(), "without a key": nil} {
		t.Run(name, func(t *testing.T) {
			storetest.Test(t, func(t *testing.T) storetest.Open {
				open := openAt(sqliteDSN(t))
				return func(t *testing.T, limits store.Limits, now func() time.Time) store.Store {
					return sealed.New(open(t, limits, now), ring)
				}
			})
		})
	}
}

func openAt(dsn string) storetest.Open {
	return func(t *testing.T, limits store.Limits, now func() time.Time) store.Store {
		t.Helper()
		return open(t, sqlstore.Config{DSN: dsn, Limits: limits, Now: now})
	}
}
