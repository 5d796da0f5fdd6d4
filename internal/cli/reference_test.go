package cli_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/cli"
	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/store/storetest"
)

const (
	// The key that the reference system has given out, and one that it has revoked.
	referenceKey = "cmp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	revokedKey   = "cmp_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
	// What both encrypt with.
	encryption = "correct horse battery staple"
)

// encrypted is a Cursor key as the reference system keeps it: AES-256-GCM by the SHA-256 of ENCRYPTION_KEY, in base64, and
// the nonce beside it.
func encrypted(t *testing.T, cursorKey string) string {
	t.Helper()
	secret := sha256.Sum256([]byte(encryption))
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 12)
	rand.Read(nonce)
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("'%s','%s'", encode(aead.Seal(nil, nonce, []byte(cursorKey), nil)), encode(nonce))
}

// dump is a database of the reference system as `wrangler d1 export` writes it, with the line of an INSERT for each row.
func dump(t *testing.T) string {
	hash := func(key string) string {
		sum := sha256.Sum256([]byte(key))
		return hex.EncodeToString(sum[:])
	}
	return `PRAGMA defer_foreign_keys=TRUE;
CREATE TABLE d1_migrations(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL);
INSERT INTO "d1_migrations" ("id","name","applied_at") VALUES(1,'0001_init.sql','2026-05-01 10:00:00');
CREATE TABLE accounts (
  id TEXT PRIMARY KEY, cursor_user_id TEXT, cursor_email TEXT, cursor_name TEXT, -- who; a comment with a ';' in it
  cursor_api_key_ciphertext TEXT NOT NULL, cursor_api_key_iv TEXT NOT NULL, cursor_api_key_hint TEXT,
  waitlist_opt_in INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
INSERT INTO "accounts" ("id","cursor_user_id","cursor_email","cursor_name","cursor_api_key_ciphertext","cursor_api_key_iv","cursor_api_key_hint","waitlist_opt_in","created_at","updated_at") VALUES('acct_aaaaaaaaaaaaaaaaaaaaaaaa','user_1','ada@example.com','Ada; O''Neill',` + encrypted(t, hostedCursorKey) + `,'mnop',0,'2026-05-01T10:00:00.123Z','2026-06-01T10:00:00.000Z');
INSERT INTO "accounts" ("id","cursor_user_id","cursor_email","cursor_name","cursor_api_key_ciphertext","cursor_api_key_iv","cursor_api_key_hint","waitlist_opt_in","created_at","updated_at") VALUES('acct_bbbbbbbbbbbbbbbbbbbbbbbb',NULL,NULL,NULL,` + encrypted(t, directCursorKey) + `,'lmno',1,'2026-05-02T10:00:00.000Z','2026-05-02T10:00:00.000Z');
CREATE TABLE api_keys (id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE, prefix TEXT NOT NULL, key_hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created_at TEXT NOT NULL, last_used_at TEXT, revoked_at TEXT);
INSERT INTO "api_keys" ("id","account_id","prefix","key_hash","name","created_at","last_used_at","revoked_at") VALUES('key_1','acct_aaaaaaaaaaaaaaaaaaaaaaaa','cmp_AAAAAAAAAA','` + hash(referenceKey) + `','default','2026-05-01T10:00:00.123Z',NULL,NULL);
INSERT INTO "api_keys" ("id","account_id","prefix","key_hash","name","created_at","last_used_at","revoked_at") VALUES('key_2','acct_aaaaaaaaaaaaaaaaaaaaaaaa','cmp_BBBBBBBBBB','` + hash(revokedKey) + `','laptop','2026-05-01T10:00:00.123Z',NULL,'2026-05-03T10:00:00.000Z');
INSERT INTO "api_keys" ("id","account_id","prefix","key_hash","name","created_at","last_used_at","revoked_at") VALUES('key_3','acct_gone','cmp_CCCCCCCCCC','` + hash("gone") + `','default','2026-05-01T10:00:00.123Z',NULL,NULL);
CREATE TABLE request_logs (id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE, endpoint TEXT NOT NULL, model TEXT, cursor_agent_id TEXT, cursor_run_id TEXT, status TEXT NOT NULL, prompt_chars INTEGER NOT NULL DEFAULT 0, completion_chars INTEGER NOT NULL DEFAULT 0, error TEXT, created_at TEXT NOT NULL, completed_at TEXT);
INSERT INTO "request_logs" VALUES('req_1','acct_aaaaaaaaaaaaaaaaaaaaaaaa','chat','composer-2.5','agent-1',NULL,'completed',4000,40,NULL,'2026-05-01T10:00:00.000Z','2026-05-01T10:00:01.500Z');
INSERT INTO "request_logs" VALUES('req_2','acct_aaaaaaaaaaaaaaaaaaaaaaaa','responses','composer-2.5',NULL,NULL,'error',8,0,'what a person has said','2026-05-01T11:00:00.000Z','2026-05-01T11:00:01.000Z');
INSERT INTO "request_logs" VALUES('req_3','acct_bbbbbbbbbbbbbbbbbbbbbbbb','chat',NULL,NULL,NULL,'running',8,0,NULL,'2026-05-01T12:00:00.000Z',NULL);
CREATE TABLE sdk_sessions (owner TEXT, session TEXT);
INSERT INTO "sdk_sessions" VALUES('x','y');
DELETE FROM sqlite_sequence;
CREATE INDEX idx_accounts_cursor_email ON accounts(cursor_email);
`
}

// TestTheReferencesKeysGoOnWorking: a dump is brought over, twice, into each database, and a hosted key of the reference system
// carries out a turn. Nothing that is printed holds a secret.
func TestTheReferencesKeysGoOnWorking(t *testing.T) {
	for name, dsn := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "composer.db") },
		"PostgreSQL": storetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "reference.sql")
			if err := os.WriteFile(file, []byte(dump(t)), 0o600); err != nil {
				t.Fatal(err)
			}
			environ := []string{"ENCRYPTION_KEY=" + encryption, "COMPOSER_DB=" + dsn(t), "HOME=" + t.TempDir()}
			bring := func(want string, args ...string) {
				t.Helper()
				var out bytes.Buffer
				code := cli.Main(t.Context(), append([]string{"migrate", "import-reference", file}, args...), environ, strings.NewReader(""), &out, &out)
				if code != 0 || out.String() != want {
					t.Errorf("exit code %d:\n%s\nwant\n%s", code, &out, want)
				}
			}
			const leftOut = "left out: 1 rows whose account is not in the dump\nleft out: 2 statements of other tables, such as sessions, which begin again\n"
			bring("would bring over 2 accounts, 2 hosted keys and 3 request logs; all Cursor keys open\n"+leftOut, "--dry-run")
			bring("accounts: 2 new, 0 there already\nhosted keys: 2 new, 0 there already\nrequest logs: 3 new, 0 there already\n" + leftOut)
			bring("accounts: 0 new, 2 there already\nhosted keys: 0 new, 2 there already\nrequest logs: 0 new, 3 there already\n" + leftOut)

			db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: strings.TrimPrefix(environ[1], "COMPOSER_DB=")})
			if err != nil {
				t.Fatal(err)
			}
			logs, err := db.ListRequests(t.Context(), store.RequestQuery{ID: "req_1", Limit: 1})
			if err != nil || len(logs) != 1 || logs[0].Status != 200 || logs[0].InputTokens != 1000 || logs[0].Duration.String() != "1.5s" || !logs[0].Estimated {
				t.Errorf("%+v, %v", logs, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}

			for name, value := range sim(t, "--calm") {
				environ = append(environ, name+"="+value)
			}
			s := serve(t, environ)
			if status, body := s.postTo(t, "/u/acct_aaaaaaaaaaaaaaaaaaaaaaaa/v1/chat/completions", referenceKey, question); status != 200 {
				t.Errorf("status %d: %s", status, body)
			}
			if status, body := s.postTo(t, "/v1/chat/completions", revokedKey, question); status != 401 {
				t.Errorf("a revoked key: status %d: %s", status, body)
			}
		})
	}
}

// Nothing is written when something is wrong, and what is said names the place and no value.
func TestAReferenceDumpThatIsWrongIsRefused(t *testing.T) {
	good := dump(t)
	for name, c := range map[string]struct{ text, key, want string }{
		"another key":      {good, "another encryption key", "table accounts: acct_aaaaaaaaaaaaaaaaaaaaaaaa: its Cursor key does not open with this ENCRYPTION_KEY"},
		"not a dump":       {"hello", encryption, "ends within a statement"},
		"another database": {"CREATE TABLE users (id TEXT);", encryption, "no table accounts"},
		"a broken row":     {strings.Replace(good, `VALUES('key_1',`, `VALUES('key_1','too many',`, 1), encryption, "line 12: table api_keys: SQLite can't read this statement"},
		"a wrong hash":     {strings.Replace(good, `'cmp_BBBBBBBBBB','`, `'cmp_BBBBBBBBBB','xyz`, 1), encryption, "table api_keys: key_2: its hash is no SHA-256"},
		"a wrong time":     {strings.Replace(good, "2026-05-02T10:00:00.000Z", "yesterday", 1), encryption, "table accounts: acct_bbbbbbbbbbbbbbbbbbbbbbbb: a time in it is not one"},
		"cut off":          {good[:len(good)/2], encryption, "line"},
		"without a key":    {good, "", "ENCRYPTION_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, "reference.sql")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			environ := []string{"ENCRYPTION_KEY=" + c.key, "COMPOSER_DB=" + filepath.Join(folder, "composer.db"), "HOME=" + folder}
			code := cli.Main(t.Context(), []string{"migrate", "import-reference", file}, environ, strings.NewReader(""), &out, &out)
			said := out.String()
			if code == 0 || !strings.Contains(said, c.want) || strings.Contains(said, "crsr_") || strings.Contains(said, "VALUES") {
				t.Errorf("exit code %d:\n%s\nwant %s", code, said, c.want)
			}
			if _, err := os.Stat(filepath.Join(folder, "composer.db")); err == nil {
				t.Error("a database was made")
			}
		})
	}
}
