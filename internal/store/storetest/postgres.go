package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Postgres makes an empty schema on the PostgreSQL server at COMPOSER_TEST_POSTGRES (a URL), returns the
// URL of it, and drops it at the test's end. Without the variable the test is skipped, or fails if
// COMPOSER_TEST_REQUIRE_POSTGRES is set, so that CI can't skip it unnoticed. Tests may run at the same
// time, because each has a schema of its own.
func Postgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv("COMPOSER_TEST_POSTGRES")
	if server == "" {
		const hint = "COMPOSER_TEST_POSTGRES is not set; hint: scripts/postgres.sh with go test ./..."
		if os.Getenv("COMPOSER_TEST_REQUIRE_POSTGRES") != "" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	cfg, err := pgx.ParseConfig(server)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*cfg)
	// Lower case, because PostgreSQL folds names that are not quoted.
	schema := "test_" + strings.ToLower(rand.Text())
	run(t, db, "CREATE SCHEMA "+schema)
	t.Cleanup(func() {
		run(t, db, "DROP SCHEMA "+schema+" CASCADE")
		db.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("COMPOSER_TEST_POSTGRES is not a URL")
	}
	query := u.Query()
	// Every connection of a pool gets it, and so every statement finds the schema's tables without
	// naming it.
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

// run runs a statement. It doesn't use the test's context, which has ended when the cleanup runs.
func run(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		t.Fatal(err)
	}
}

// PgBouncer makes an empty database on the PostgreSQL server behind the PgBouncer at
// COMPOSER_TEST_PGBOUNCER, which pools transactions, returns the URL of it, and drops it at the test's
// end. It needs COMPOSER_TEST_POSTGRES, too. Without the variable the test is skipped.
//
// It is a database and not a schema, because search_path would be lost: with each transaction the session
// may be another.
func PgBouncer(t *testing.T) string {
	t.Helper()
	bouncer := os.Getenv("COMPOSER_TEST_PGBOUNCER")
	if bouncer == "" {
		t.Skip("COMPOSER_TEST_PGBOUNCER is not set; hint: scripts/postgres.sh with scripts/pgbouncer.sh with go test ./internal/store/...")
	}
	cfg, err := pgx.ParseConfig(os.Getenv("COMPOSER_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*cfg)
	name := "test_" + strings.ToLower(rand.Text())
	run(t, db, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		// FORCE, because PgBouncer keeps its connections to it open.
		run(t, db, "DROP DATABASE "+name+" WITH (FORCE)")
		db.Close()
	})
	u, err := url.Parse(bouncer)
	if err != nil {
		t.Fatal("COMPOSER_TEST_PGBOUNCER is not a URL")
	}
	u.Path = "/" + name
	query := u.Query()
	// Prepared statements are lost with the session, so none must be used.
	query.Set("default_query_exec_mode", "exec")
	u.RawQuery = query.Encode()
	return u.String()
}

// Behind is the URL of a database of PgBouncer's that leads past it.
func Behind(t *testing.T, bouncer string) string {
	t.Helper()
	through, err := url.Parse(bouncer)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(os.Getenv("COMPOSER_TEST_POSTGRES"))
	if err != nil {
		t.Fatal("COMPOSER_TEST_POSTGRES is not a URL")
	}
	u.Path = through.Path
	return u.String()
}
