// Package reference reads a dump of the reference system's database, so that its accounts, hosted keys and request logs can
// be brought over. The dump is what `wrangler d1 export` or sqlite3's .dump writes.
//
//	dump.go        statements ──► a scratch database, of which only three tables are taken
//	reference.go   its rows ──► ours
//
// What is kept there: of a hosted key the SHA-256 as hex digits, as here, so the keys themselves stay good; the Cursor key by
// AES-256-GCM with a nonce of 12 bytes, both in base64, by the key that ENCRYPTION_KEY spells, as here. It is opened and sealed
// again, bound to its account. Times are text, as JavaScript writes them.
//
// No error holds a value of the dump but ids: it may be a key.
package reference

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
)

// Secrets are what opens the dump and seals what comes of it.
type Secrets struct {
	// Old are the keys by which the reference system may have encrypted, one after the other.
	Old [][32]byte
	// Ring seals.
	Ring *seal.Ring
}

// Rows is what a dump holds, as rows of ours. Logs come as they are asked for, because there may be very many.
type Rows struct {
	// Accounts have their Cursor key sealed by Secrets.Ring already. Each Key belongs to one of them.
	Accounts []store.Account
	Keys     []store.Key
	// Orphans are keys and logs whose account isn't there; they are left out.
	Orphans int64
	// Left is how many statements of other tables were left out, such as those of sessions, which begin again.
	Left int64

	// scratch has the three tables as the dump has them. Logs reads it, so it lives until Close.
	scratch *sql.DB
	known   map[string]bool // the ids of Accounts
	// close closes scratch and removes its folder.
	close func() error
}

// Close removes the scratch database.
func (r *Rows) Close() error { return r.close() }

// accounts reads the accounts, and opens and seals their Cursor keys.
func (r *Rows) accounts(ctx context.Context, s *Secrets) error {
	rows, err := r.scratch.QueryContext(ctx, `SELECT id, coalesce(cursor_email, ''), coalesce(cursor_name, ''), cursor_api_key_ciphertext, cursor_api_key_iv, created_at, updated_at FROM accounts ORDER BY id`)
	if err != nil {
		return wrongTable("accounts", err)
	}
	defer rows.Close()
	for rows.Next() {
		var a store.Account
		var ciphertext, iv, created, updated string
		if err := rows.Scan(&a.ID, &a.Email, &a.Name, &ciphertext, &iv, &created, &updated); err != nil {
			return wrongTable("accounts", err)
		}
		// One key that doesn't open ends the import: accounts without their Cursor key would be of no use.
		key, err := s.open(ciphertext, iv)
		if err != nil {
			return fmt.Errorf("table accounts: %s: %w", a.ID, err)
		}
		if a.Created, err = moment(created); err == nil {
			a.Updated, err = moment(updated)
		}
		if err != nil {
			return fmt.Errorf("table accounts: %s: %w", a.ID, err)
		}
		// The id stays the one of the reference system. A sign-up of the same user finds it (hosted.Service.accountID).
		a.SealedKey, a.KeyHint = hosted.SealCursorKey(s.Ring, a.ID, key), keys.Hint(key.Reveal())
		r.known[a.ID] = true
		r.Accounts = append(r.Accounts, a)
	}
	return wrongTable("accounts", rows.Err())
}

// ErrSecret: the Cursor key was encrypted with another ENCRYPTION_KEY, or was changed since.
var ErrSecret = errors.New("its Cursor key does not open with this ENCRYPTION_KEY")

// open decrypts a Cursor key.
func (s *Secrets) open(ciphertext, iv string) (agent.Secret, error) {
	sealed, err := base64.StdEncoding.DecodeString(ciphertext)
	nonce, err2 := base64.StdEncoding.DecodeString(iv)
	if errors.Join(err, err2) != nil || len(nonce) != 12 {
		return agent.Secret{}, ErrSecret
	}
	for _, secret := range s.Old {
		// AES-256-GCM says by its tag whether the key was the right one, so all can be tried.
		block, err := aes.NewCipher(secret[:])
		if err != nil {
			return agent.Secret{}, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return agent.Secret{}, err
		}
		if plain, err := aead.Open(nil, nonce, sealed, nil); err == nil {
			return agent.NewSecret(string(plain)), nil
		}
	}
	return agent.Secret{}, ErrSecret
}

// hostedKeys reads the hosted keys. Their ids are ours, made from the hash: by them they are found.
func (r *Rows) hostedKeys(ctx context.Context) error {
	// Its own id of a key is for errors alone. Revoked keys come, too: an operator may look for them.
	rows, err := r.scratch.QueryContext(ctx, `SELECT id, account_id, prefix, key_hash, name, created_at, coalesce(revoked_at, '') FROM api_keys ORDER BY id`)
	if err != nil {
		return wrongTable("api_keys", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, prefix, hash, name, created, revoked string
		var k store.Key
		if err := rows.Scan(&id, &k.Account, &prefix, &hash, &name, &created, &revoked); err != nil {
			return wrongTable("api_keys", err)
		}
		if !r.known[k.Account] {
			r.Orphans++
			continue
		}
		sum, err := hex.DecodeString(hash)
		if err != nil || len(sum) != 32 {
			return fmt.Errorf("table api_keys: %s: its hash is no SHA-256", id)
		}
		k.Hash = [32]byte(sum)
		k.ID, k.Hint = keys.IDOf(k.Hash), hint(prefix)
		if name != "default" { // the reference system's own word for a key without a name
			k.Name = name
		}
		if k.Created, err = moment(created); err == nil && revoked != "" {
			k.Revoked, err = moment(revoked)
		}
		if err != nil {
			return fmt.Errorf("table api_keys: %s: %w", id, err)
		}
		r.Keys = append(r.Keys, k)
	}
	return wrongTable("api_keys", rows.Err())
}

// hint is what may be shown of a key whose first 14 characters are known: fewer of them.
func hint(prefix string) string {
	const shown = len(keys.Prefix) + 4
	return prefix[:min(len(prefix), shown)] + "…"
}

// Logs hands the request logs out, so many at a time.
func (r *Rows) Logs(ctx context.Context, most int, each func([]store.RequestLog) error) error {
	rows, err := r.scratch.QueryContext(ctx, `SELECT id, account_id, endpoint, coalesce(model, ''), coalesce(cursor_agent_id, ''), status, prompt_chars, completion_chars, created_at, coalesce(completed_at, '') FROM request_logs ORDER BY id`)
	if err != nil {
		return wrongTable("request_logs", err)
	}
	defer rows.Close()
	// The array is used again for each batch: each must not keep it.
	var batch []store.RequestLog
	for rows.Next() {
		var l store.RequestLog
		var endpoint, status, created, completed string
		var prompt, completion int64
		if err := rows.Scan(&l.ID, &l.Account, &endpoint, &l.Model, &l.UpstreamRun, &status, &prompt, &completion, &created, &completed); err != nil {
			return wrongTable("request_logs", err)
		}
		if !r.known[l.Account] {
			r.Orphans++
			continue
		}
		if l.Created, err = moment(created); err != nil {
			return fmt.Errorf("table request_logs: %s: %w", l.ID, err)
		}
		// It knew one id for both. KeyID stays empty: it did not write down which key was used.
		l.RequestID, l.Endpoint = l.ID, endpointOf(endpoint)
		// It has counted characters; four make about a token.
		l.InputTokens, l.OutputTokens, l.Estimated = prompt/4, completion/4, true
		// Of its texts of errors nothing is taken: they may say what a person has said.
		switch status {
		case "completed":
			l.Status = 200
		case "error":
			l.Status, l.ErrorCode = 502, agent.Upstream.String()
		}
		// A request that never ended has no time here, and a duration of 0.
		if end, err := moment(completed); err == nil && end.After(l.Created) {
			l.Duration = end.Sub(l.Created)
		}
		// each is called in this goroutine; an error of it ends the reading.
		if batch = append(batch, l); len(batch) == most {
			if err := each(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := rows.Err(); err != nil {
		return wrongTable("request_logs", err)
	}
	if len(batch) == 0 {
		return nil
	}
	return each(batch)
}

// endpointOf is our name of its endpoint.
func endpointOf(kind string) string {
	switch kind {
	case "chat":
		return "POST /v1/chat/completions"
	case "responses":
		return "POST /v1/responses"
	}
	// A word that isn't known stays as it is: it is for people only.
	return kind
}

// moment reads a time as JavaScript's toISOString writes it, or SQLite's CURRENT_TIMESTAMP.
func moment(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, time.DateTime} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	// Without the text itself, as for all values of the dump.
	return time.Time{}, errors.New("a time in it is not one")
}

// wrongTable says of which table an error of the scratch database is; nil stays nil. What SQLite says names columns and no values.
func wrongTable(table string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("table %s: it is not as the reference system's: %w", table, err)
}
