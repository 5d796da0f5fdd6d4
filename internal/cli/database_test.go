package cli_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"composer-api/internal/golden"
	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
)

// TestDatabaseScripts runs testdata/database: what the operator of hosted keys types, and sees.
func TestDatabaseScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/database",
		UpdateScripts:       golden.Updating(),
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"signedup": signedUp,
			"newer":    newer,
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("COMPOSER_DB", e.WorkDir+"/composer.db")
			return nil
		},
	})
}

// signedUp puts an account and its key into the database: signedup account key name e-mail.
func signedUp(ts *testscript.TestScript, _ bool, args []string) {
	db := openDatabase(ts)
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	_, err := db.SignUp(context.Background(), store.Account{
		ID: args[0], Name: args[2], Email: args[3], KeyHint: "crsr_…a1b2", Created: at, Updated: at,
	}, store.Key{ID: args[1], Account: args[0], Hint: "cmp_…Zz-9", Created: at}, store.SignUpRule{})
	ts.Check(err)
	ts.Check(db.Close())
}

// newer makes the database one of a later version.
func newer(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(openDatabase(ts).Close())
	raw, err := sql.Open("sqlite", ts.Getenv("COMPOSER_DB"))
	ts.Check(err)
	_, err = raw.Exec("INSERT INTO composer_api_schema (version_id, is_applied) VALUES (999, TRUE)")
	ts.Check(err)
	ts.Check(raw.Close())
}

func openDatabase(ts *testscript.TestScript) *sqlstore.DB {
	db, err := sqlstore.Open(context.Background(), sqlstore.Config{DSN: ts.Getenv("COMPOSER_DB")})
	ts.Check(err)
	return db
}
