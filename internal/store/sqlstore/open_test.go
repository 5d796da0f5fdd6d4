package sqlstore_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/store/storetest"
)

type database struct {
	name string
	dsn  func(*testing.T) string
}

// databases are the two kinds, for tests that hold for both.
var databases = []database{{"SQLite", sqliteDSN}, {"PostgreSQL", storetest.Postgres}}

func TestSQLiteFilesAreForTheUserAlone(t *testing.T) {
	dsn := sqliteDSN(t)
	db := open(t, sqlstore.Config{DSN: dsn})
	if err := db.PutSession(t.Context(), store.Session{AgentID: "a"}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := filepath.WalkDir(filepath.Dir(dsn), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			return nil // the caller's
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", filepath.Base(path), info.Mode().Perm(), want)
		}
		seen++
		return nil
	})
	if err != nil || seen < 4 {
		t.Errorf("saw %d files (the database, its log, index and lock), %v", seen, err)
	}
}

func TestAFolderIsNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mistyped")
	_, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: filepath.Join(dir, "composer.db")})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "there is no folder "+dir) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
}

func TestADatabaseInMemoryIsSharedByItsConnectionsAlone(t *testing.T) {
	one, other := open(t, sqlstore.Config{DSN: sqlstore.Memory()}), open(t, sqlstore.Config{DSN: sqlstore.Memory()})
	s := store.Session{AgentID: "agent_1", Expires: time.Now().Add(time.Hour)}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := one.OpenSession(t.Context(), s); err != nil || got.AgentID != s.AgentID {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	s.AgentID = "agent_2"
	if got, err := other.OpenSession(t.Context(), s); err != nil || got.AgentID != s.AgentID {
		t.Errorf("the other database: %+v, %v", got, err)
	}
	if files, err := filepath.Glob("*memdb*"); err != nil || len(files) > 0 {
		t.Errorf("there are files: %v, %v", files, err)
	}
}

func TestSQLitePathsMayHoldAnything(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.db", "with space.db", "50%41?.db", "#hash&x=1.db", "ö.db"} {
		open(t, sqlstore.Config{DSN: filepath.Join(dir, name)})
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	open(t, sqlstore.Config{DSN: "file:" + filepath.Join(dir, "uri%20file.db") + "?_pragma=cache_size(100)"})
	if _, err := os.Stat(filepath.Join(dir, "uri file.db")); err != nil {
		t.Error(err)
	}
}

func TestManyMayOpenANewDatabaseAtOnce(t *testing.T) {
	kinds := append(slices.Clone(databases), database{"PgBouncer", storetest.PgBouncer})
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			for range 5 {
				dsn := kind.dsn(t)
				var wg sync.WaitGroup
				errs := make([]error, 8)
				for i := range errs {
					wg.Go(func() {
						db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn})
						if err == nil {
							err = errors.Join(db.PutSession(t.Context(), store.Session{AgentID: "a"}), db.Close())
						}
						errs[i] = err
					})
				}
				wg.Wait()
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	for _, kind := range databases {
		t.Run(kind.name, func(t *testing.T) {
			dsn := kind.dsn(t)
			open(t, sqlstore.Config{DSN: dsn})
			raw := rawSQLite
			if kind.name == "PostgreSQL" {
				raw = rawPostgres
			}
			run(t, raw(t, dsn), "INSERT INTO composer_api_schema (version_id, is_applied) VALUES (999, TRUE)")
			_, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn})
			if !errors.Is(err, sqlstore.ErrNewerSchema) || !strings.Contains(err.Error(), "version 999") {
				t.Errorf("Open: %v", err)
			}
			if _, err := sqlstore.MigrateUp(t.Context(), dsn); !errors.Is(err, sqlstore.ErrNewerSchema) {
				t.Errorf("MigrateUp: %v", err)
			}
			all, err := sqlstore.MigrateStatus(t.Context(), dsn)
			if !errors.Is(err, sqlstore.ErrNewerSchema) || len(all) == 0 {
				t.Errorf("MigrateStatus: %d migrations, %v", len(all), err)
			}
		})
	}
}

func TestMigrationsAreShownAppliedOnceAndRemembered(t *testing.T) {
	for _, kind := range databases {
		t.Run(kind.name, func(t *testing.T) {
			dsn := kind.dsn(t)
			pending, err := sqlstore.MigrateStatus(t.Context(), dsn)
			if err != nil || len(pending) == 0 || !pending[0].Applied.IsZero() {
				t.Fatalf("before: %v, %v", pending, err)
			}
			if kind.name == "SQLite" {
				if _, err := os.Stat(dsn); !errors.Is(err, fs.ErrNotExist) {
					t.Error("asking for the status made a database")
				}
			}
			done, err := sqlstore.MigrateUp(t.Context(), dsn)
			if err != nil || len(done) != len(pending) || done[0].Name != pending[0].Name {
				t.Fatalf("up: %v, %v", done, err)
			}
			if done, err := sqlstore.MigrateUp(t.Context(), dsn); err != nil || len(done) != 0 {
				t.Errorf("up again: %v, %v", done, err)
			}
			applied, err := sqlstore.MigrateStatus(t.Context(), dsn)
			if err != nil || slices.ContainsFunc(applied, func(m sqlstore.Migration) bool { return time.Since(m.Applied).Abs() > time.Hour }) {
				t.Errorf("after: %v, %v", applied, err)
			}
		})
	}
}

func TestBothDatabasesHaveTheSameMigrations(t *testing.T) {
	list := func(dir string) (names []string) {
		files, err := os.ReadDir(filepath.Join("migrations", dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			names = append(names, f.Name())
		}
		return names
	}
	if s, p := list("sqlite"), list("postgres"); !slices.Equal(s, p) {
		t.Errorf("sqlite has %q, postgres has %q", s, p)
	}
}

func TestAReadOnlyDatabaseCanBeReadAndIsUnavailableForWriting(t *testing.T) {
	for _, kind := range databases {
		t.Run(kind.name, func(t *testing.T) {
			dsn := kind.dsn(t)
			fill(t, open(t, sqlstore.Config{DSN: dsn}))
			readOnly := "file:" + dsn + "?_pragma=query_only(1)"
			if kind.name == "PostgreSQL" {
				readOnly = dsn + "&default_transaction_read_only=on"
			}
			db := open(t, sqlstore.Config{DSN: readOnly})
			if _, _, err := db.Key(t.Context(), "key_1"); err != nil {
				t.Errorf("reading: %v", err)
			}
			if err := db.BeginRequest(t.Context(), store.RequestLog{ID: "log_1", Account: "acct_1"}); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("writing: %v, want ErrUnavailable", err)
			}
			if err := db.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Ping: %v, want ErrUnavailable", err)
			}
			if _, err := db.RenewLeases(t.Context(), "host-1", nil, time.Second); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("renewing no lease: %v, want ErrUnavailable", err)
			}
		})
	}
}

func TestAFullDiskIsUnavailableUntilThereIsRoomAgain(t *testing.T) {
	dsn := sqliteDSN(t)
	fill(t, open(t, sqlstore.Config{DSN: dsn}))
	db := open(t, sqlstore.Config{DSN: "file:" + dsn + "?_pragma=max_page_count(150)"})
	big := store.Response{Owner: "k:1", ID: "resp_1", Object: make([]byte, 1<<20), Expires: time.Now().Add(time.Hour)}
	if err := db.CreateResponse(t.Context(), big); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("writing: %v, want ErrUnavailable", err)
	}
	if _, _, err := db.Key(t.Context(), "key_1"); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := db.BeginRequest(t.Context(), store.RequestLog{ID: "log_1", Account: "acct_1"}); err != nil {
		t.Errorf("writing what still fits: %v", err)
	}
}

func TestADatabaseThatCanNotBeReachedIsUnavailable(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is not a database", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for name, dsn := range map[string]string{
		"no folder": garbage + "/sub/composer.db",
		"garbage":   garbage,
		"no server": "postgres://ada:hunter2@" + l.Addr().String() + "/composer?sslmode=disable",
	} {
		_, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error holds the password: %v", name, err)
		}
	}
	for name, dsn := range map[string]string{
		"no URL":           "postgres://ada:hunter2@[bad/composer",
		"another database": "mysql://ada:hunter2@localhost/composer",
		"one slash":        "postgres:/ada:hunter2@localhost/composer",
		"as psql takes it": "host=localhost user=ada password=hunter2 dbname=composer",
		"no pool":          "postgres://ada:hunter2@localhost/composer?pool_max_conns=1",
		"no number":        "postgres://ada:hunter2@localhost/composer?pool_max_conns=many",
		"no duration":      "postgres://ada:hunter2@localhost/composer?pool_max_conn_lifetime=-1s",
		"no mode":          "postgres://ada:hunter2@localhost/composer?default_query_exec_mode=fast",
	} {
		_, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn})
		if !errors.Is(err, sqlstore.ErrBadDSN) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want ErrBadDSN without the password", name, err)
		}
	}
}

func TestAPatientDatabaseIsUnavailableUntilItCanBeReached(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not yet")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	clock := time.Now()
	db := open(t, sqlstore.Config{DSN: filepath.Join(dir, "composer.db"), AllowUnavailable: true, Now: func() time.Time { return clock }})
	unavailable := func() {
		t.Helper()
		_, _, keyErr := db.Key(t.Context(), "key_1")
		_, listErr := db.ListAccounts(t.Context(), "", 1)
		for _, err := range []error{keyErr, listErr, db.RevokeKey(t.Context(), "key_1", clock), db.Ping(t.Context())} {
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
		}
	}
	unavailable()
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	unavailable() // it doesn't try every time
	clock = clock.Add(2 * time.Second)
	fill(t, db)
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPatienceEndsAtANewerSchema(t *testing.T) {
	dsn := sqliteDSN(t)
	open(t, sqlstore.Config{DSN: dsn})
	run(t, rawSQLite(t, dsn), "INSERT INTO composer_api_schema (version_id, is_applied) VALUES (999, TRUE)")
	if _, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn, AllowUnavailable: true}); !errors.Is(err, sqlstore.ErrNewerSchema) {
		t.Errorf("%v, want ErrNewerSchema", err)
	}
}

func TestAnotherProcessesTransactionIsWaitedForWithinTheContext(t *testing.T) {
	for _, kind := range databases {
		t.Run(kind.name, func(t *testing.T) {
			dsn := kind.dsn(t)
			db := open(t, sqlstore.Config{DSN: dsn})
			fill(t, db)
			raw := rawSQLite
			if kind.name == "PostgreSQL" {
				raw = rawPostgres
			}
			other, err := raw(t, dsn).Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer other.Rollback()
			if _, err := other.Exec("UPDATE accounts SET name = 'locked'"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := db.DeleteAccount(ctx, "acct_1"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("while it is locked: %v, want DeadlineExceeded", err)
			}
			if err := other.Rollback(); err != nil {
				t.Fatal(err)
			}
			if err := db.DeleteAccount(t.Context(), "acct_1"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// fill makes an account with a key.
func fill(t *testing.T, db store.Accounts) {
	t.Helper()
	if _, err := db.SignUp(t.Context(), store.Account{ID: "acct_1"}, store.Key{ID: "key_1", Account: "acct_1"}, store.SignUpRule{}); err != nil {
		t.Fatal(err)
	}
}
