package harness

import (
	"crypto/rand"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// PostgresPath is a PATH in which the programs of PostgreSQL are found. Debian keeps those of each version in a folder of
// its own, and what stands in the PATH chooses one of them. An older program can't talk to a newer server.
func PostgresPath() string {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Reverse(folders)
	return strings.Join(append(folders, os.Getenv("PATH")), ":")
}

// PostgresServer is the server for tests, as a URL. Without one the test is skipped, or fails where one is required.
func PostgresServer(t testing.TB) string {
	t.Helper()
	server := os.Getenv("COMPOSER_TEST_POSTGRES")
	switch {
	case server != "":
	case os.Getenv("COMPOSER_TEST_REQUIRE_POSTGRES") != "":
		t.Fatal("COMPOSER_TEST_POSTGRES is not set; hint: scripts/postgres.sh with go test ./...")
	default:
		t.Skip("no PostgreSQL; hint: scripts/postgres.sh with go test ./...")
	}
	return server
}

// NewPostgres makes an empty database on the server and returns its URL.
func NewPostgres(t testing.TB) string {
	t.Helper()
	server := PostgresServer(t)
	name := "conformance_" + strings.ToLower(rand.Text())
	// It is not dropped: the server for tests is thrown away as a whole.
	SQL(t, server, "CREATE DATABASE "+name)
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// SQL runs a statement on a database with PostgreSQL's own client, and returns what it prints.
func SQL(t testing.TB, database, statement string) string {
	t.Helper()
	psql := exec.CommandContext(t.Context(), "/usr/bin/env", "PATH="+PostgresPath(), "psql", "--no-psqlrc", "-At", "-v", "ON_ERROR_STOP=1", "-c", statement, database)
	out, err := psql.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", statement, err, out)
	}
	return strings.TrimSpace(string(out))
}
