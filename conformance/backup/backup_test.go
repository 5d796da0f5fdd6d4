// Package backup makes backups with the commands of docs/deployment.md, and runs the gateway on what they give back.
package backup

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// command is the line of the documentation that begins with a program's name, run by a shell with the documentation's
// paths replaced.
func command(t *testing.T, program string, path string, variables []string, replace ...string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, program+" ") {
			continue
		}
		sh := exec.CommandContext(t.Context(), "/bin/sh", "-euc", strings.NewReplacer(replace...).Replace(line))
		sh.Env = append([]string{"PATH=" + path}, variables...)
		if out, err := sh.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		return
	}
	t.Fatalf("docs/deployment.md has no command that begins with %s", program)
}

// keyring is what the gateway keeps its users' keys with.
const keyring = "ENCRYPTION_KEY=correct horse battery staple"

func start(t *testing.T, sim *harness.Sim, db string) *harness.Gateway {
	return harness.StartReplica(t, sim, []string{"COMPOSER_DB=" + db, keyring, "COMPOSER_SIGNUP_LIMIT=0"})
}

// signUp returns a hosted key.
func signUp(t *testing.T, gateway *harness.Gateway) string {
	t.Helper()
	status, body := post(t, gateway.URL+"/api/signup", "", `{"cursorApiKey":"crsr_`+rand.Text()+rand.Text()+`"}`)
	var up struct{ APIKey string }
	if err := json.Unmarshal([]byte(body), &up); err != nil || status != http.StatusOK || up.APIKey == "" {
		t.Fatalf("sign-up: status %d: %s", status, body)
	}
	return up.APIKey
}

// wants asks with a hosted key.
func wants(t *testing.T, gateway *harness.Gateway, key string, want int) {
	t.Helper()
	if status, body := post(t, gateway.BaseURL()+"/chat/completions", key, `{"model":"composer-2.5","messages":[{"role":"user","content":"hello"}]}`); status != want {
		t.Errorf("status %d, want %d: %s", status, want, body)
	}
}

func post(t *testing.T, url, key, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// TestSQLite makes a backup while the server runs, and goes back to it.
func TestSQLite(t *testing.T) {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("no sqlite3 is installed; hint: scripts/deployment.sh")
	}
	sim := harness.StartSim(t, "--calm")
	sim.Play("turn always\ntext Well.")
	folder := t.TempDir()
	database := filepath.Join(folder, "composer.db")
	gateway := start(t, sim, database)
	before := signUp(t, gateway)
	if err := os.Mkdir(filepath.Join(folder, "backup"), 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "sqlite3", os.Getenv("PATH"), nil, "/var/lib/composer-api", folder, "/backup", folder+"/backup")
	after := signUp(t, gateway)
	gateway.Stop()

	for _, leftover := range []string{"-wal", "-shm"} {
		if err := os.Remove(database + leftover); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(folder, "backup", "composer.db"), database); err != nil {
		t.Fatal(err)
	}
	gateway = start(t, sim, database)
	wants(t, gateway, before, http.StatusOK)
	wants(t, gateway, after, http.StatusUnauthorized)
}

// TestPostgreSQL does the same with a dump.
func TestPostgreSQL(t *testing.T) {
	database, path := harness.NewPostgres(t), harness.PostgresPath()

	sim := harness.StartSim(t, "--calm")
	sim.Play("turn always\ntext Well.")
	gateway := start(t, sim, database)
	before := signUp(t, gateway)
	folder := t.TempDir()
	command(t, "pg_dump", path, []string{"COMPOSER_DB=" + database}, "/backup", folder)
	after := signUp(t, gateway)
	gateway.Stop()
	command(t, "pg_restore", path, []string{"COMPOSER_DB=" + database}, "/backup", folder)
	gateway = start(t, sim, database)
	wants(t, gateway, before, http.StatusOK)
	wants(t, gateway, after, http.StatusUnauthorized)
}
