package cli_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"composer-api/internal/cli"
	"composer-api/internal/golden"
)

// builtAs is a variable by which the test binary is a release: its version, where releases are, and their key.
const builtAs = "TEST_BUILT_AS"

// TestMain lets the test binary stand in for composer-api.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"composer-api": func() {
			ctx := cli.UntilSignal()
			if built := os.Getenv(builtAs); built != "" {
				parts := strings.Split(built, " ")
				cli.MakeRelease(parts[0], parts[1], parts[2])
			}
			os.Exit(cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs testdata/script: what a person types, and sees.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       golden.Updating(),
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"publicapi": publicAPI,
		},
	})
}

// publicAPI starts a stand-in for Cursor's public API that answers /v1/models with the file that it is given, if the
// key is crsr_good, and points CURSOR_API_BASE at it.
func publicAPI(ts *testscript.TestScript, _ bool, args []string) {
	models := ts.ReadFile(args[0])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/v1/models":
			http.NotFound(w, r)
		case r.Header.Get("Authorization") != "Bearer crsr_good":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Write([]byte(models))
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("CURSOR_API_BASE", server.URL)
}
