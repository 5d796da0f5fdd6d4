package cli_test

import (
	"context"
	"database/sql"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"composer-api/internal/golden"
	"composer-api/internal/sim/cursorsim"
)

// TestTheDoctorNamesWhatIsBrokenAndItsCure plays testdata/doctor: set-ups that are broken in one way each, for real or by a
// fake at the edge that works, and what 'doctor' says of them. (Two more, for which a name server and a disk are needed, are
// in package doctor.)
func TestTheDoctorNamesWhatIsBrokenAndItsCure(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/doctor",
		UpdateScripts:       golden.Updating(),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("COMPOSER_ADDR", "127.0.0.1:0") // whatever listens on this machine is not in question
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cursor":    fakeCursor,
			"website":   website,
			"listener":  takePort,
			"lock":      lockDatabase,
			"oldschema": forgetMigration,
			"normal":    normal,
		},
	})
}

// fakeCursor starts the simulator, calm, and points the settings at it.
func fakeCursor(ts *testscript.TestScript, _ bool, _ []string) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- cursorsim.New(cursorsim.Config{}).Serve(ctx, cursorsim.Listeners{Plain: listener}) }()
	ts.Defer(func() { cancel(); <-served })
	ts.Setenv("CURSOR_API_BASE", "http://"+listener.Addr().String())
	ts.Setenv("CURSOR_BACKEND_BASE_URL", "http://"+listener.Addr().String())
	ts.Setenv("CURSOR_LOCAL_AGENT_ENDPOINT", "/agent.v1.AgentService/Run")
}

// website starts a server that is not Cursor, and sets a variable to its address. Its clock is wrong by the second argument, if
// there is one.
func website(ts *testscript.TestScript, _ bool, args []string) {
	var off time.Duration
	if len(args) > 1 {
		var err error
		off, err = time.ParseDuration(args[1])
		ts.Check(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		http.NotFound(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// takePort listens on a port, and sets a variable to its address. It answers nothing that a gateway would.
func takePort(ts *testscript.TestScript, _ bool, args []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.Listener.Addr().String())
}

// database opens a database file as another program.
func database(ts *testscript.TestScript, name string) *sql.DB {
	db, err := sql.Open("sqlite", ts.MkAbs(name))
	ts.Check(err)
	db.SetMaxOpenConns(1)
	return db
}

// lockDatabase takes a database's lock for writing, for the rest of the script.
func lockDatabase(ts *testscript.TestScript, _ bool, args []string) {
	db := database(ts, args[0])
	_, err := db.ExecContext(context.Background(), "BEGIN IMMEDIATE")
	ts.Check(err)
	ts.Defer(func() { db.Close() })
}

// forgetMigration makes a schema older by one step.
func forgetMigration(ts *testscript.TestScript, _ bool, args []string) {
	db := database(ts, args[0])
	defer db.Close()
	_, err := db.ExecContext(context.Background(), "DELETE FROM composer_api_schema WHERE version_id = (SELECT max(version_id) FROM composer_api_schema)")
	ts.Check(err)
}

// What of an examination differs from machine to machine, and from run to run.
var notTheSame = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`(?m)^(ok +version +).*`), "${1}composer-api …"},
	{regexp.MustCompile(`(?m)^ok +clients .*\n`), ""},                       // those of whoever runs the test
	{regexp.MustCompile(`(?m)^(ok|warning) +disk .*\n( +cure: .*\n)?`), ""}, // that of whoever runs the test
	{regexp.MustCompile(`127\.0\.0\.1:[1-9]\d*`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`sport = :\d+`), "sport = :PORT"},
	{regexp.MustCompile(`\(\d+ ms\)`), "(N ms)"},
	{regexp.MustCompile(`after \d+(\.\d+)?m?s\b`), "after N ms"},
	{regexp.MustCompile(`clock is \S+ slow`), "clock is N slow"},
	{regexp.MustCompile(`\d{5}_\w+\.sql`), "NNNNN.sql"},
	{regexp.MustCompile(`which is good for .*`), "which is good for an hour (N ms)"},
}

// normal writes what was printed to a file, without what is not the same in each run.
func normal(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile("stdout"), ts.Getenv("WORK"), "$WORK")
	for _, n := range notTheSame {
		text = n.find.ReplaceAllString(text, n.put)
	}
	ts.Check(os.WriteFile(filepath.Join(ts.MkAbs("."), args[0]), []byte(text), 0o600))
}
