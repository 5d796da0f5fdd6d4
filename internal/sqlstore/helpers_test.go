package sqlstore_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"composer-api/internal/agent"
	"composer-api/internal/sqlstore"
)

// sqliteDSN names a database that doesn't exist yet.
func sqliteDSN(t *testing.T) string { return filepath.Join(t.TempDir(), "state", "composer.db") }

// postgresDSN makes an empty schema on the server at COMPOSER_TEST_POSTGRES and names it. scripts/postgres.sh starts
// such a server.
func postgresDSN(t *testing.T) string {
	t.Helper()
	server := os.Getenv("COMPOSER_TEST_POSTGRES")
	if server == "" {
		if os.Getenv("COMPOSER_TEST_REQUIRE_POSTGRES") != "" {
			t.Fatal("COMPOSER_TEST_POSTGRES is not set; hint: scripts/postgres.sh with go test ./…")
		}
		t.Skip("COMPOSER_TEST_POSTGRES is not set; hint: scripts/postgres.sh with go test ./…")
	}
	schema := strings.ToLower(agent.NewID("test_", 16))
	db := rawPostgres(t, server)
	run(t, db, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { run(t, rawPostgres(t, server), "DROP SCHEMA "+schema+" CASCADE") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("COMPOSER_TEST_POSTGRES is not a URL")
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// rawPostgres talks to the server past the store.
func rawPostgres(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*cfg)
	t.Cleanup(func() { db.Close() })
	return db
}

// rawSQLite talks to the file past the store.
func rawSQLite(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, cfg sqlstore.Config) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
