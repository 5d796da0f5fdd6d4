package cli_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/cli"
)

// run runs a command that ends by itself.
func run(t *testing.T, environ []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	code = cli.Main(t.Context(), args, environ, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

// keyed answers /v1/models to crsr_good alone, as Cursor's public API does.
func keyed(t *testing.T) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer crsr_good" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Write([]byte(`{"items":[{"id":"composer-2.5","displayName":"Composer 2.5"}]}`))
	}))
	t.Cleanup(server.Close)
	return server
}

func (s *server) models(t *testing.T, key string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	bodyOf(t, resp)
	return resp.StatusCode
}

// TestTheTokenStandsForTheServersKey uses the key of the environment, and that of the state folder.
func TestTheTokenStandsForTheServersKey(t *testing.T) {
	cursor := keyed(t)
	for _, fromFile := range []bool{false, true} {
		state := t.TempDir()
		environ := []string{"XDG_STATE_HOME=" + state, "CURSOR_API_BASE=" + cursor.URL, "CURSOR_LOCAL_AGENT_ENDPOINT=" + cursor.URL, "COMPOSER_DB=" + filepath.Join(state, "composer.db")}
		serverEnviron := environ
		if fromFile {
			if err := os.Mkdir(filepath.Join(state, "composer-api"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(state, "composer-api", "cursor-key"), []byte("crsr_good\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else {
			serverEnviron = append(serverEnviron, "CURSOR_API_KEY=crsr_good")
		}
		s := serve(t, serverEnviron)
		token, stderr, code := run(t, environ, "token")
		if code != 0 {
			t.Fatal(stderr)
		}
		token = strings.TrimSpace(token)
		if got := s.models(t, token); got != 200 {
			t.Errorf("file %v: with the token: status %d", fromFile, got)
		}
		if got := s.models(t, token+"x"); got != 401 {
			t.Errorf("file %v: with another token: status %d", fromFile, got)
		}
		rotated, _, _ := run(t, environ, "token", "--rotate")
		if got := s.models(t, strings.TrimSpace(rotated)); got != 401 || strings.TrimSpace(rotated) == token {
			t.Errorf("file %v: a new token before the next start: status %d", fromFile, got)
		}
	}
}

// TestTheServersKeyIsNotForOtherMachines: whoever listens for others has to say so.
func TestTheServersKeyIsNotForOtherMachines(t *testing.T) {
	state := t.TempDir()
	cursor := keyed(t)
	environ := []string{"XDG_STATE_HOME=" + state, "CURSOR_API_BASE=" + cursor.URL, "CURSOR_LOCAL_AGENT_ENDPOINT=" + cursor.URL, "CURSOR_API_KEY=crsr_good"}
	token, _, _ := run(t, environ, "token")
	for _, tt := range []struct {
		args   []string
		status int
		warns  bool
	}{
		{[]string{"--addr=0.0.0.0:0"}, 401, true},
		{[]string{"--addr=0.0.0.0:0", "--local-auth-remote"}, 200, false},
	} {
		s := serve(t, append(environ, "COMPOSER_DB="+filepath.Join(t.TempDir(), "composer.db")), tt.args...)
		s.url = strings.Replace(strings.Replace(s.url, "[::]", "127.0.0.1", 1), "0.0.0.0", "127.0.0.1", 1)
		if got := s.models(t, strings.TrimSpace(token)); got != tt.status {
			t.Errorf("%v: status %d, want %d", tt.args, got, tt.status)
		}
		if warns := strings.Contains(s.rest.String(), "CURSOR_API_KEY is not lent"); warns != tt.warns {
			t.Errorf("%v: it says %s", tt.args, s.rest)
		}
	}
	_, stderr, code := run(t, environ, "serve", "--local-auth=any", "--local-auth-remote")
	if code != 2 || !strings.Contains(stderr, "COMPOSER_LOCAL_AUTH") {
		t.Errorf("any for everybody: exit %d, %s", code, stderr)
	}
}

// A key that was copied wrongly is known before anybody waits for Cursor's answer, and by every command that uses it.
func TestAKeyOfTheServersThatCanBeNoneIsRefusedAtTheStart(t *testing.T) {
	state := t.TempDir()
	file := filepath.Join(state, "key")
	for _, tt := range []struct{ key, problem, hint string }{
		{`"crsr_secret"`, "has quotes around it", "leave them out"},
		{"Bearer crsr_secret", `begins with "Bearer"`, "give the key alone"},
		{"crsr_secret\r\nother", "has a blank or a line break in it", "on one line"},
		{"crsr_…", "is a placeholder", "put the key in its place"},
		{"cmp_secret", "is a hosted key", "create a key in the Cursor dashboard"},
		{"composer-secret", "is the local token", "create a key in the Cursor dashboard"},
	} {
		if err := os.WriteFile(file, []byte(tt.key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, variable := range []string{"CURSOR_API_KEY=" + tt.key, "CURSOR_API_KEY_FILE=" + file} {
			for _, command := range []string{"serve", "models"} {
				stdout, out, code := run(t, []string{"XDG_STATE_HOME=" + state, "COMPOSER_ADDR=127.0.0.1:0", variable}, command)
				if code != 2 || !strings.Contains(out, strings.SplitN(variable, "=", 2)[0]) || !strings.Contains(out, tt.problem) || !strings.Contains(out, "hint: ") {
					t.Errorf("%s with %q: %d, want 2 with %q:\n%s", command, variable, code, tt.problem, out)
				}
				if strings.HasPrefix(variable, "CURSOR_API_KEY=") && !strings.Contains(out, tt.hint) {
					t.Errorf("%s with %q has no hint %q:\n%s", command, variable, tt.hint, out)
				}
				if strings.Contains(stdout+out, "secret") {
					t.Errorf("%s repeats the key:\n%s", command, out)
				}
			}
		}
	}
}
