package cli_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
)

const (
	hostedCursorKey = "crsr_0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnop"
	directCursorKey = "crsr_zyxwvutsrqponmlkjihgfedcba9876543210zyxwvutsrqponmlkjihgfedcba"
	question        = `{"model":"composer-2.5","max_tokens":100,"messages":[{"role":"user","content":"a question like no other"}]}`
)

// simulated is a server in front of the simulator, with hosted keys on.
func simulated(t *testing.T, args ...string) (*server, string) {
	t.Helper()
	dir := t.TempDir()
	environ := []string{"ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_DB=" + filepath.Join(dir, "composer.db")}
	for name, value := range sim(t, "--calm") {
		environ = append(environ, name+"="+value)
	}
	return serve(t, environ, args...), dir
}

func (s *server) postTo(t *testing.T, path, key, body string) (int, string) {
	t.Helper()
	resp, answer := s.ask(t, path, body, "Authorization", "Bearer "+key)
	return resp.StatusCode, answer
}

// ask is send, and reads the answer to its end.
func (s *server) ask(t *testing.T, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	resp := s.send(t, path, body, header...)
	return resp, bodyOf(t, resp)
}

func TestAHostedKeyWorksFromSignUpOn(t *testing.T) {
	s, dir := simulated(t, "--log=debug")
	status, body := s.postTo(t, "/api/signup", "", `{"cursorApiKey":"`+hostedCursorKey+`"}`)
	var up struct {
		Account   struct{ ID string }
		APIKey    string
		Endpoints struct{ BaseURL, AccountBaseURL string }
	}
	if err := json.Unmarshal([]byte(body), &up); err != nil || status != 200 || !strings.HasPrefix(up.APIKey, "cmp_") {
		t.Fatalf("sign-up: status %d: %s", status, body)
	}
	own, ownMessages := "/u/"+up.Account.ID+"/v1/chat/completions", "/u/"+up.Account.ID+"/v1/messages"
	for _, tt := range []struct {
		path, key string
		status    int
	}{
		{"/v1/chat/completions", up.APIKey, 200},
		{own, up.APIKey, 200},
		{"/v1/messages", up.APIKey, 200},
		{ownMessages, up.APIKey, 200},
		{ownMessages, directCursorKey, 401},
		{"/u/acct_000000000000000000000000/v1/chat/completions", up.APIKey, 403},
		{own, directCursorKey, 401},
		{"/v1/chat/completions", up.APIKey + "x", 401},
		{"/v1/chat/completions", directCursorKey, 200},
		{"/u/" + up.Account.ID + "/v1/completions", up.APIKey, 200},
		{"/u/" + up.Account.ID + "/v1/completions", directCursorKey, 401},
	} {
		asked := question
		if strings.HasSuffix(tt.path, "/v1/completions") {
			asked = `{"model":"composer-2.5","prompt":"a question like no other"}`
		}
		if status, body := s.postTo(t, tt.path, tt.key, asked); status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.path, status, tt.status, body)
		}
	}
	s.stop()
	if code := <-s.exit; code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.exit = nil

	secrets := []string{hostedCursorKey, directCursorKey, up.APIKey, "a question like no other"}
	for _, secret := range secrets {
		if strings.Contains(s.rest.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %q", d.Name(), secret)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheRequestLogHasTheStatusThatTheClientGot is about Anthropic's API, whose statuses differ from OpenAI's.
func TestTheRequestLogHasTheStatusThatTheClientGot(t *testing.T) {
	s, dir := simulated(t)
	_, body := s.postTo(t, "/api/signup", "", `{"cursorApiKey":"`+hostedCursorKey+`"}`)
	var up struct {
		Account struct{ ID string }
		APIKey  string
	}
	if err := json.Unmarshal([]byte(body), &up); err != nil {
		t.Fatal(err)
	}
	busy := `{"model":"composer-2.5","max_tokens":100,"messages":[{"role":"user","content":"sim: error unavailable Busy."}]}`
	for path, status := range map[string]int{"/v1/messages": 529, "/v1/chat/completions": 503} {
		if got, body := s.postTo(t, path, up.APIKey, busy); got != status {
			t.Errorf("%s: status %d, want %d: %s", path, got, status, body)
		}
	}
	s.stop()
	<-s.exit
	s.exit = nil
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: filepath.Join(dir, "composer.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	logs, err := db.ListRequests(t.Context(), store.RequestQuery{Account: up.Account.ID, Limit: 10})
	got := map[string]int{}
	for _, l := range logs {
		got[l.Endpoint] = l.Status
	}
	if want := map[string]int{"POST /v1/messages": 529, "POST /v1/chat/completions": 503}; err != nil || !maps.Equal(got, want) {
		t.Errorf("the log says %v, %v", got, err)
	}
}

func TestAStoredResponseIsThereAfterARestart(t *testing.T) {
	s, dir := simulated(t)
	status, body := s.postTo(t, "/v1/responses", directCursorKey, `{"model":"composer-2.5","input":"hello"}`)
	var answer struct{ ID string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Fatalf("status %d: %s", status, body)
	}
	s.stop()
	<-s.exit
	s.exit = nil

	again := serve(t, []string{"ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_DB=" + filepath.Join(dir, "composer.db")})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, again.url+"/v1/responses/"+answer.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+directCursorKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := bodyOf(t, resp); resp.StatusCode != 200 || !strings.Contains(got, answer.ID) {
		t.Errorf("status %d: %s", resp.StatusCode, got)
	}
}

// Another encryption key, or none, is told when the server starts, and by the doctor: people with a hosted key would meet it else.
func TestAnEncryptionKeyThatIsNotTheDatabasesIsTold(t *testing.T) {
	db := "COMPOSER_DB=" + filepath.Join(t.TempDir(), "composer.db")
	cursor := []string{db}
	for name, value := range sim(t, "--calm") {
		cursor = append(cursor, name+"="+value)
	}
	const first, second = "correct horse battery staple", "another horse battery staple"
	s := serve(t, append(cursor, "ENCRYPTION_KEY="+first))
	if status, body := s.postTo(t, "/api/signup", "", `{"cursorApiKey":"`+hostedCursorKey+`"}`); status != 200 {
		t.Fatalf("sign-up: status %d: %s", status, body)
	}
	if said := s.rest.String(); strings.Contains(said, "warning") {
		t.Errorf("a new database is warned of: %s", said)
	}
	s.stop()
	<-s.exit
	s.exit = nil
	for _, tt := range []struct {
		name              string
		keys              []string
		warning           string
		finding, examined string
		code              int
	}{
		{"the same", []string{"ENCRYPTION_KEY=" + first}, "", "ok        store", "", 0},
		{"another", []string{"ENCRYPTION_KEY=" + second}, "warning: ENCRYPTION_KEY does not open the Cursor keys of 1 of 1 accounts", "broken    store", "set ENCRYPTION_KEY_PREVIOUS to that", 1},
		{"none", nil, "ENCRYPTION_KEY is not set", "warning   store", "ENCRYPTION_KEY is not set", 0},
		{"changed", []string{"ENCRYPTION_KEY=" + second, "ENCRYPTION_KEY_PREVIOUS=" + first}, "", "ok        store", "ENCRYPTION_KEY_PREVIOUS is still needed, for 1 of 1", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			environ := append(tt.keys, cursor...)
			out, _, code := run(t, append(environ, "HOME="+t.TempDir(), "COMPOSER_ADDR=127.0.0.1:0"), "doctor", "--no-turn")
			if code != tt.code || !strings.Contains(out, tt.finding) || !strings.Contains(out, tt.examined) {
				t.Errorf("the doctor ends with %d, want %d with %q and %q:\n%s", code, tt.code, tt.finding, tt.examined, out)
			}
			s := serve(t, environ)
			if said := s.rest.String(); !strings.Contains(said, tt.warning) || tt.warning == "" && strings.Contains(said, "warning") {
				t.Errorf("the server says %q, want %q", said, tt.warning)
			}
		})
	}
}
