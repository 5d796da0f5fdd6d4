package sqlstore_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/golden"
	"composer-api/internal/store/sqlstore"
)

// TestANewDatabaseIsWhatTheMigrationsMake holds the script of the whole schema against the migrations. With -update it writes the script.
func TestANewDatabaseIsWhatTheMigrationsMake(t *testing.T) {
	stepwise := sqliteDSN(t)
	// A database with a table in it is not new, so it gets the migrations one by one.
	run(t, rawSQLite(t, stepwise), "CREATE TABLE other (id TEXT)")
	open(t, sqlstore.Config{DSN: stepwise})
	run(t, rawSQLite(t, stepwise), "DROP TABLE other")
	want := schemaOf(t, rawSQLite(t, stepwise))
	golden.File(t, "whole_sqlite.sql", wholeHead+strings.Join(want, ";\n")+";\n")

	fresh := sqliteDSN(t)
	open(t, sqlstore.Config{DSN: fresh})
	if diff := cmp.Diff(want, schemaOf(t, rawSQLite(t, fresh))); diff != "" && !golden.Updating() {
		t.Errorf("a new database (-migrations +whole)\n%s", diff)
	}
	memory := open(t, sqlstore.Config{DSN: sqlstore.Memory()})
	fill(t, memory)
}

// wholeHead is how the script begins.
const wholeHead = "-- The whole schema, for a new database. Written by 'make golden' from the migrations; never change it by hand.\n"

// schemaOf is everything in the schema, in the order in which it was made, and the migrations that count as applied, as statements.
func schemaOf(t *testing.T, db *sql.DB) (statements []string) {
	t.Helper()
	rows, err := db.Query(`SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY rowid`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var statement string
		if err := rows.Scan(&statement); err != nil {
			t.Fatal(err)
		}
		statements = append(statements, statement)
	}
	var applied []string
	records, err := db.Query(`SELECT version_id, is_applied FROM composer_api_schema ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	for records.Next() {
		var version, isApplied int
		if err := records.Scan(&version, &isApplied); err != nil {
			t.Fatal(err)
		}
		applied = append(applied, fmt.Sprintf("(%d, %d)", version, isApplied))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if err := records.Err(); err != nil {
		t.Fatal(err)
	}
	return append(statements, "INSERT INTO composer_api_schema (version_id, is_applied) VALUES "+strings.Join(applied, ", "))
}
