package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"composer-api/internal/cli"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/store/storetest"
)

// exports are the variables that point a server at a simulator.
func exports(t *testing.T, more ...string) []string {
	t.Helper()
	environ := append([]string{"ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_SIGNUP_LIMIT=0"}, more...)
	for name, value := range sim(t, "--calm") {
		environ = append(environ, name+"="+value)
	}
	return slices.Clip(environ) // several servers append to it
}

// command runs a command that ends by itself and returns what it printed.
func command(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := cli.Main(t.Context(), args, environ, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, &stderr)
	}
	return stdout.String()
}

// A signedUpUser is what a sign-up answers.
type signedUpUser struct {
	Account struct{ ID string }
	APIKey  string
}

func (s *server) signUp(t *testing.T, cursorKey string) signedUpUser {
	t.Helper()
	up, _ := s.signUpInTime(t, cursorKey)
	return up
}

// signUpInTime signs up again as long as the server says that its database takes too long, as it does on a machine that
// is busy. Each of those tries may have made a key that nobody was told of.
func (s *server) signUpInTime(t *testing.T, cursorKey string) (up signedUpUser, tooLate int) {
	t.Helper()
	for ; ; tooLate++ {
		status, body := s.postTo(t, "/api/signup", "", `{"cursorApiKey":"`+cursorKey+`"}`)
		if status == http.StatusServiceUnavailable && tooLate < 100 {
			continue
		}
		if err := json.Unmarshal([]byte(body), &up); err != nil || status != http.StatusOK {
			t.Errorf("sign-up: status %d: %s", status, body)
		}
		return up, tooLate
	}
}

// inSession posts a completion of one session, as OpenCode does.
func (s *server) inSession(t *testing.T, base, key, body string) {
	t.Helper()
	resp, answer := s.ask(t, base+"/chat/completions", body, "Authorization", "Bearer "+key, "X-Session-Affinity", "session-1")
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d: %s", resp.StatusCode, answer)
	}
}

func TestTwoServersOnOneDatabaseAreOne(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "composer.db") },
		"PostgreSQL": storetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			environ := exports(t, "COMPOSER_DB="+database(t))
			servers := []*server{serve(t, environ), serve(t, environ)}

			t.Run("sign-ups of one user at once leave one account", func(t *testing.T) {
				const signUps = 50
				var wg sync.WaitGroup
				var tooLate atomic.Int64
				for i := range signUps {
					wg.Go(func() {
						_, n := servers[i%2].signUpInTime(t, hostedCursorKey)
						tooLate.Add(int64(n))
					})
				}
				wg.Wait()
				if got := strings.Count(command(t, environ, "accounts", "list"), "acct_"); got != 1 {
					t.Errorf("%d accounts", got)
				}
				if got := strings.Count(command(t, environ, "keys", "list"), "key_"); got < signUps || got > signUps+int(tooLate.Load()) {
					t.Errorf("%d keys after %d sign-ups and %d that were too late", got, signUps, tooLate.Load())
				}
			})

			t.Run("a key that one made works on the other until it is revoked", func(t *testing.T) {
				up := servers[0].signUp(t, hostedCursorKey)
				works := func(want int) {
					t.Helper()
					for i, s := range servers {
						if status, body := s.postTo(t, "/u/"+up.Account.ID+"/v1/chat/completions", up.APIKey, question); status != want {
							t.Errorf("server %d: status %d, want %d: %s", i, status, want, body)
						}
					}
				}
				works(http.StatusOK)
				key, _ := keys.Parse(up.APIKey)
				command(t, environ, "keys", "revoke", key.ID)
				works(http.StatusUnauthorized)
			})

			for _, base := range []string{"/opencodev2/v1", "/opencode/v1"} {
				t.Run("a session goes on on the other: "+base, func(t *testing.T) {
					up := servers[0].signUp(t, hostedCursorKey)
					before := len(runsOf(t, environ))
					for i, messages := range []string{
						`[{"role":"user","content":"sim: text first"}]`,
						`[{"role":"user","content":"sim: text first"},{"role":"assistant","content":"an answer that was edited"},{"role":"user","content":"sim: text second"}]`,
					} {
						servers[i].inSession(t, base, up.APIKey, `{"model":"composer-2.5","messages":`+messages+`}`)
					}
					runs := runsOf(t, environ)[before:]
					if len(runs) != 2 || runs[0].ConversationID != runs[1].ConversationID || runs[0].ConversationID == "" {
						t.Errorf("the runs were %+v", runs)
					}
				})
			}

			t.Run("upstream sees the Cursor key and not the hosted one", func(t *testing.T) {
				up := servers[0].signUp(t, hostedCursorKey)
				before := len(runsOf(t, environ))
				servers[1].postTo(t, "/v1/chat/completions", up.APIKey, question)
				servers[1].postTo(t, "/v1/chat/completions", hostedCursorKey, question)
				runs := runsOf(t, environ)[before:]
				if len(runs) != 2 || runs[0].KeyHash != runs[1].KeyHash || runs[0].KeyHash == "" {
					t.Errorf("the runs were %+v", runs)
				}
			})
		})
	}
}

// A simulatedRun is what the simulator says of a run.
type simulatedRun struct{ ConversationID, KeyHash string }

// runsOf asks the simulator that environ points to for its runs.
func runsOf(t *testing.T, environ []string) []simulatedRun {
	t.Helper()
	var base string
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, "CURSOR_API_BASE="); ok {
			base = value
		}
	}
	status, body := get(t, base+"/sim/runs")
	var answer struct{ Runs []simulatedRun }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	return answer.Runs
}

func TestWithoutADatabaseToWriteOnlyHostedKeysStandStill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "composer.db")
	environ := exports(t)
	before := serve(t, append(environ, "COMPOSER_DB="+path))
	up := before.signUp(t, hostedCursorKey)
	before.stop()
	<-before.exit
	before.exit = nil

	for name, dsn := range map[string]string{
		"read-only":   "file:" + path + "?_pragma=query_only(1)",
		"no database": "postgres://ada:hunter2@127.0.0.1:1/composer?sslmode=disable",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, append(environ, "COMPOSER_DB="+dsn))
			for _, want := range []struct {
				path, key, body string
				status          int
			}{
				{"/v1/chat/completions", directCursorKey, question, http.StatusOK},
				{"/v1/chat/completions", up.APIKey, question, http.StatusServiceUnavailable},
				{"/v1/responses", directCursorKey, `{"model":"composer-2.5","input":"hi","store":false}`, http.StatusOK},
				{"/api/signup", "", fmt.Sprintf(`{"cursorApiKey":%q}`, hostedCursorKey), http.StatusServiceUnavailable},
			} {
				if status, body := s.postTo(t, want.path, want.key, want.body); status != want.status {
					t.Errorf("%s: status %d, want %d: %s", want.path, status, want.status, body)
				}
			}
		})
	}
}

// TestOnAFullDiskOnlyHostedKeysStandStill fills the pages that the database file has and may not exceed.
func TestOnAFullDiskOnlyHostedKeysStandStill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "composer.db")
	environ := exports(t)
	before := serve(t, append(environ, "COMPOSER_DB="+path))
	up := before.signUp(t, hostedCursorKey)
	before.stop()
	<-before.exit
	before.exit = nil

	// SQLite takes a limit below the file's size for the file's size.
	s := serve(t, append(environ, "COMPOSER_DB=file:"+path+"?_pragma=max_page_count(1)"))
	status, body := http.StatusOK, ""
	for n := 0; status == http.StatusOK; n++ {
		if n == 2000 {
			t.Fatal("the disk is not full after 2,000 hosted requests")
		}
		status, body = s.postTo(t, "/v1/chat/completions", up.APIKey, question)
	}
	if status != http.StatusServiceUnavailable {
		t.Fatalf("status %d: %s", status, body)
	}
	if status, body := s.postTo(t, "/v1/chat/completions", directCursorKey, question); status != http.StatusOK {
		t.Errorf("a direct key: status %d: %s", status, body)
	}
	large := strings.Repeat("x", 64<<10)
	status, body = s.postTo(t, "/v1/responses", directCursorKey, `{"model":"composer-2.5","input":"`+large+`"}`)
	if status != http.StatusOK || !strings.Contains(body, `"store":false`) {
		t.Errorf("a response that can't be stored: status %d: %s", status, body)
	}
}
