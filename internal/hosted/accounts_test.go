package hosted_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/watch"
)

const (
	adasKey    = "crsr_ada00000000000000000000000000000000000000000000000000000001"
	adasNewKey = "crsr_ada00000000000000000000000000000000000000000000000000000002"
	evesKey    = "crsr_eve00000000000000000000000000000000000000000000000000000001"
	teamKey    = "crsr_team0000000000000000000000000000000000000000000000000000001"

	secret    = "an encryption key for tests"
	newSecret = "another encryption key for tests"
)

// cursor is Cursor's /v1/me.
func cursor(_ context.Context, key agent.Secret) (hosted.Person, error) {
	switch k := key.Reveal(); k {
	case adasKey, adasNewKey:
		return hosted.Person{UserID: "user_1", Email: "ada@example.com", FirstName: "Ada", LastName: "Lovelace", KeyName: "laptop"}, nil
	case evesKey:
		return hosted.Person{UserID: "user_2", Email: "eve@example.com", FirstName: "Eve"}, nil
	case teamKey:
		return hosted.Person{KeyName: "CI of the team"}, nil
	}
	return hosted.Person{}, &agent.Error{Code: agent.InvalidKey}
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A hosting is a database and the log of the service on it.
type hosting struct {
	t   *testing.T
	dsn string
	log bytes.Buffer
}

func newHosting(t *testing.T) *hosting {
	return &hosting{t: t, dsn: filepath.Join(t.TempDir(), "composer.db")}
}

// replica is a service on the database, with its store.
func (h *hosting) replica(current, previous string) (*hosted.Service, store.Store) {
	h.t.Helper()
	ring, err := seal.Parse(current, previous)
	if err != nil {
		h.t.Fatal(err)
	}
	db := h.open(h.dsn)
	return hosted.New(hosted.Config{
		Store: db, Ring: ring, Verify: cursor, Now: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}), db
}

func (h *hosting) open(dsn string) store.Store {
	h.t.Helper()
	db, err := sqlstore.Open(h.t.Context(), sqlstore.Config{DSN: dsn, Now: func() time.Time { return now }})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { db.Close() })
	return db
}

func signUp(t *testing.T, s *hosted.Service, key string) *hosted.SignedUp {
	t.Helper()
	up, err := s.SignUp(t.Context(), agent.NewSecret(key), "")
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func wantCode(t *testing.T, err error, want agent.Code) {
	t.Helper()
	if agent.CodeOf(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// wantKey checks that a hosted key leads to a Cursor key.
func wantKey(t *testing.T, s *hosted.Service, up *hosted.SignedUp, cursorKey string) {
	t.Helper()
	caller, err := s.Resolve(t.Context(), up.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if caller.CursorKey.Reveal() != cursorKey || caller.Owner != "a:"+up.Account.ID || caller.KeyID == "" {
		t.Errorf("resolved to the wrong caller: %+v", caller)
	}
}

func TestAHostedKeyStandsForTheCursorKey(t *testing.T) {
	s, _ := newHosting(t).replica(secret, "")
	up := signUp(t, s, adasKey)
	want := store.Account{
		ID: "acct_7901e753321589f9b07f888d", Email: "ada@example.com", Name: "Ada Lovelace", KeyHint: "crsr_…0001",
		SealedKey: up.Account.SealedKey, Created: now, Updated: now,
	}
	if diff := cmp.Diff(want, up.Account); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wantKey(t, s, up, adasKey)
}

func TestSigningUpAgainReplacesTheCursorKeyAndNotTheAccount(t *testing.T) {
	s, _ := newHosting(t).replica(secret, "")
	first, second := signUp(t, s, adasKey), signUp(t, s, adasNewKey)
	if first.Account.ID != second.Account.ID {
		t.Errorf("accounts %s and %s", first.Account.ID, second.Account.ID)
	}
	wantKey(t, s, first, adasNewKey)
	wantKey(t, s, second, adasNewKey)
	other := signUp(t, s, evesKey)
	wantKey(t, s, other, evesKey)
	wantKey(t, s, first, adasNewKey)
}

func TestTheAccountIDComesFromTheUserElseTheMailElseTheKey(t *testing.T) {
	id := func(p hosted.Person, key string) string {
		db := newHosting(t).open(filepath.Join(t.TempDir(), "composer.db"))
		s := hosted.New(hosted.Config{Store: db, Ring: seal.Random(), Verify: func(context.Context, agent.Secret) (hosted.Person, error) { return p, nil }})
		return signUp(t, s, key).Account.ID
	}
	user := hosted.Person{UserID: "user_1", Email: "ada@example.com"}
	moved := hosted.Person{UserID: "user_1", Email: "ada@example.org"}
	mail, shouted := hosted.Person{Email: "ada@example.com"}, hosted.Person{Email: "Ada@Example.com", KeyName: "x"}
	nobody := hosted.Person{KeyName: "CI"}
	if id(user, adasKey) != id(moved, adasNewKey) {
		t.Error("a user's id must do whatever the mail address and the key are")
	}
	if id(mail, adasKey) != id(shouted, adasNewKey) {
		t.Error("a mail address must do whatever the key is")
	}
	if id(nobody, teamKey) == id(nobody, adasKey) {
		t.Error("without a user the key must do")
	}
	// Accounts live for years: these must never change.
	for _, c := range []struct {
		p    hosted.Person
		want string
	}{{user, "acct_7901e753321589f9b07f888d"}, {mail, "acct_9b62a3a2bce7c868f30d60f0"}, {nobody, "acct_b6fe9ff7dc34664f38e4b99e"}} {
		if got := id(c.p, teamKey); got != c.want {
			t.Errorf("%+v has the account %s, want %s", c.p, got, c.want)
		}
	}
}

func TestFiftySignUpsAtOnceLeaveOneAccount(t *testing.T) {
	h := newHosting(t)
	a, db := h.replica(secret, "")
	b, _ := h.replica(secret, "")
	ups := make([]*hosted.SignedUp, 50)
	var wg sync.WaitGroup
	for i := range ups {
		wg.Go(func() {
			s, key := a, adasKey
			if i%2 == 1 {
				s, key = b, adasNewKey
			}
			up, err := s.SignUp(t.Context(), agent.NewSecret(key), "")
			if err != nil {
				t.Error(err)
			}
			ups[i] = up
		})
	}
	wg.Wait()
	all, err := db.ListAccounts(t.Context(), "", 100)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d accounts, %v", len(all), err)
	}
	for _, up := range ups {
		if _, err := a.Resolve(t.Context(), up.Key.Reveal()); err != nil {
			t.Error(err)
		}
	}
}

func TestKeysThatAreNoGoodAreAllAlike(t *testing.T) {
	h := newHosting(t)
	s, _ := h.replica(secret, "")
	other, _ := h.replica(secret, "")
	up := signUp(t, s, adasKey)
	key, _ := keys.Parse(up.Key.Reveal())
	if err := other.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	unknown, _ := keys.Mint()
	var message string
	for name, token := range map[string]string{
		"revoked": up.Key.Reveal(), "unknown": unknown.Reveal(), "malformed": "cmp_abc", "empty": "", "a Cursor key": adasKey,
	} {
		_, err := s.Resolve(t.Context(), token)
		wantCode(t, err, agent.InvalidKey)
		if message == "" {
			message = agent.AsError(err).Message
		}
		if got := agent.AsError(err).Message; got != message {
			t.Errorf("%s: %q differs from %q", name, got, message)
		}
	}
}

// An ID is a piece of the hash. Whoever could make a key with the same piece must still not get in.
func TestAKeyWithTheRightIDAndAnotherHashIsRefused(t *testing.T) {
	s, db := newHosting(t).replica(secret, "")
	signUp(t, s, adasKey)
	token, key := keys.Mint()
	row := store.Key{ID: key.ID, Account: "acct_7901e753321589f9b07f888d", Hash: key.Hash}
	row.Hash[31] ^= 1
	if _, err := db.SignUp(t.Context(), store.Account{ID: row.Account}, row, store.SignUpRule{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Resolve(t.Context(), token.Reveal())
	wantCode(t, err, agent.InvalidKey)
}

func TestRotationGivesAnotherKeyOfTheSameAccount(t *testing.T) {
	s, _ := newHosting(t).replica(secret, "")
	up := signUp(t, s, adasKey)
	old, _ := keys.Parse(up.Key.Reveal())
	token, key, err := s.Rotate(t.Context(), old.ID)
	if err != nil || key.Account != up.Account.ID {
		t.Fatalf("%+v, %v", key, err)
	}
	wantKey(t, s, &hosted.SignedUp{Account: up.Account, Key: token}, adasKey)
	_, err = s.Resolve(t.Context(), up.Key.Reveal())
	wantCode(t, err, agent.InvalidKey)
	if _, _, err := s.Rotate(t.Context(), old.ID); !errors.Is(err, store.ErrConflict) {
		t.Errorf("rotated twice: %v", err)
	}
	if _, _, err := s.Rotate(t.Context(), "key_unknown"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("rotated an unknown key: %v", err)
	}
}

func TestWhatCanNotBeACursorKeyIsRefused(t *testing.T) {
	for _, text := range []string{"", "  ", "cmp_abc", "with space", "ünicode", "new\nline", strings.Repeat("x", 5000)} {
		_, err := hosted.ParseCursorKey(text)
		if e := agent.AsError(err); e.Param != "cursorApiKey" || strings.Contains(err.Error(), "cmp_abc") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if key, err := hosted.ParseCursorKey(" " + adasKey + "\n"); err != nil || key.Reveal() != adasKey {
		t.Errorf("blanks around the key are no fault: %v", err)
	}
}

func TestACursorKeyThatCursorRefusesMakesNoAccount(t *testing.T) {
	s, db := newHosting(t).replica(secret, "")
	_, err := s.SignUp(t.Context(), agent.NewSecret("crsr_unknown"), "")
	wantCode(t, err, agent.InvalidKey)
	if all, err := db.ListAccounts(t.Context(), "", 10); err != nil || len(all) != 0 {
		t.Errorf("%d accounts, %v", len(all), err)
	}
}

func TestWithoutAnEncryptionKeyHostedKeysAreOff(t *testing.T) {
	h := newHosting(t)
	on, _ := h.replica(secret, "")
	up := signUp(t, on, adasKey)
	off, _ := h.replica("", "")
	_, err := off.SignUp(t.Context(), agent.NewSecret(adasKey), "")
	wantCode(t, err, agent.NotConfigured)
	_, err = off.Resolve(t.Context(), up.Key.Reveal())
	wantCode(t, err, agent.NotConfigured)
	if !strings.Contains(agent.AsError(err).Message, "ENCRYPTION_KEY") {
		t.Errorf("no hint: %v", err)
	}
	key, _ := keys.Parse(up.Key.Reveal())
	if err := off.Revoke(t.Context(), key.ID); err != nil {
		t.Errorf("the operator can't revoke: %v", err)
	}
}

func TestANewEncryptionKeyTakesOverAsKeysAreUsed(t *testing.T) {
	h := newHosting(t)
	before, _ := h.replica(secret, "")
	used, unused := signUp(t, before, adasKey), signUp(t, before, evesKey)

	rotated, _ := h.replica(newSecret, secret)
	wantKey(t, rotated, used, adasKey)

	after, _ := h.replica(newSecret, "")
	wantKey(t, after, used, adasKey)
	_, err := after.Resolve(t.Context(), unused.Key.Reveal())
	wantCode(t, err, agent.NotConfigured)
	if !strings.Contains(agent.AsError(err).Message, "ENCRYPTION_KEY_PREVIOUS") {
		t.Errorf("no hint: %v", err)
	}
	wantKey(t, rotated, unused, evesKey)
	wantKey(t, after, unused, evesKey)
}

func TestACursorKeyMovedToAnotherAccountDoesNotOpen(t *testing.T) {
	s, db := newHosting(t).replica(secret, "")
	ada, eve := signUp(t, s, adasKey), signUp(t, s, evesKey)
	if err := db.ReplaceSealedKey(t.Context(), eve.Account.ID, eve.Account.SealedKey, ada.Account.SealedKey); err != nil {
		t.Fatal(err)
	}
	_, err := s.Resolve(t.Context(), eve.Key.Reveal())
	wantCode(t, err, agent.NotConfigured)
}

func TestARequestIsLoggedWithoutItsContent(t *testing.T) {
	s, db := newHosting(t).replica(secret, "")
	up := signUp(t, s, adasKey)
	caller, err := s.Resolve(t.Context(), up.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.BeginRequest(t.Context(), &agent.Request{Caller: caller, Origin: agent.Origin{RequestID: "req_1", Endpoint: "POST /v1/chat/completions"}})
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	r.Finish(gone, &watch.Turn{
		Origin: agent.Origin{Received: now}, Begun: now.Add(time.Second), Connected: now.Add(3 * time.Second), FirstToken: now.Add(6 * time.Second),
		Accepted: agent.Accepted{
			Upstream: "demo", Resume: agent.ResumeParked, Waited: time.Minute, ConversationID: "conv-1",
			Model: agent.Model{ID: "composer-2.5", Params: []agent.Param{{ID: "fast", Value: "false"}}},
		},
		Done:  agent.Done{Reason: agent.ToolCalls, Repairs: []agent.Repair{agent.RepairJSON, agent.RepairArguments}},
		Err:   agent.Errorf(agent.UpstreamTimeout, "what the user said"),
		Usage: agent.Usage{Input: 10, CacheRead: 5, CacheWrite: 1, Output: 7, Reasoning: 3, Price: agent.Price{Input: 25_000}, Estimated: true},
	}, 504)
	logs, err := db.ListRequests(t.Context(), store.RequestQuery{Account: up.Account.ID, Limit: 10})
	if err != nil || len(logs) != 1 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	want := store.RequestLog{
		ID: logs[0].ID, Account: up.Account.ID, KeyID: caller.KeyID, RequestID: "req_1", Endpoint: "POST /v1/chat/completions", Created: now,
		Model: "composer-2.5;fast=false", Status: 504, InputTokens: 16, CachedTokens: 5, OutputTokens: 7, ReasoningTokens: 3, CostUSD: 0.25,
		Estimated: true, UpstreamRun: "conv-1", ErrorCode: "upstream_timeout",
		Timeline: store.Timeline{
			Backend: "demo", Resume: "parked", Queue: time.Second, Connect: 2 * time.Second, FirstToken: 5 * time.Second, ToolWait: time.Minute,
			Parked: true, Repairs: "json arguments",
		},
	}
	if diff := cmp.Diff(want, logs[0]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestARequestWithACursorKeyIsNotLogged(t *testing.T) {
	s, db := newHosting(t).replica(secret, "")
	r, err := s.BeginRequest(t.Context(), &agent.Request{Caller: agent.Caller{Owner: "k:1", CursorKey: agent.NewSecret(adasKey)}, Origin: agent.Origin{RequestID: "req_1", Endpoint: "POST /v1/chat/completions"}})
	if r != nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
	r.Finish(t.Context(), &watch.Turn{}, 200)
	if logs, err := db.ListRequests(t.Context(), store.RequestQuery{Limit: 10}); err != nil || len(logs) != 0 {
		t.Errorf("%d logs, %v", len(logs), err)
	}
}

// When the disk is full or read-only, a hosted request can't be logged and so isn't served.
func TestWithoutADatabaseToWriteHostedRequestsAreRefused(t *testing.T) {
	h := newHosting(t)
	s, _ := h.replica(secret, "")
	up := signUp(t, s, adasKey)
	h.dsn = "file:" + h.dsn + "?_pragma=query_only(1)"
	readOnly, _ := h.replica(secret, "")
	caller, err := readOnly.Resolve(t.Context(), up.Key.Reveal())
	if err != nil {
		t.Fatalf("resolving needs no writing: %v", err)
	}
	_, err = readOnly.BeginRequest(t.Context(), &agent.Request{Caller: caller, Origin: agent.Origin{RequestID: "req_1", Endpoint: "POST /v1/chat/completions"}})
	wantCode(t, err, agent.Overloaded)
	_, err = readOnly.SignUp(t.Context(), agent.NewSecret(adasKey), "")
	wantCode(t, err, agent.Overloaded)
	if agent.AsError(err).RetryAfter == 0 {
		t.Error("no Retry-After")
	}
}

// What a thief of the database's files, log included, may look for.
func TestAStolenDatabaseRevealsNoKey(t *testing.T) {
	h := newHosting(t)
	s, db := h.replica(secret, "")
	up := signUp(t, s, adasKey)
	caller, err := s.Resolve(t.Context(), up.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.BeginRequest(t.Context(), &agent.Request{Caller: caller, Origin: agent.Origin{RequestID: "req_1", Endpoint: "POST /v1/chat/completions"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Finish(t.Context(), &watch.Turn{}, 200)
	if _, err := db.OpenSession(t.Context(), store.Session{Key: store.NewSessionKey(caller.Owner, "s"), AgentID: "a", Expires: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	found := 0
	err = filepath.WalkDir(filepath.Dir(h.dsn), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(content, []byte(up.Account.ID)) {
			found++ // so the content is not merely elsewhere
		}
		for name, key := range map[string]string{"Cursor key": adasKey, "hosted key": up.Key.Reveal(), "encryption key": secret} {
			body := key[5:] // without its prefix, which a hint may show
			for _, form := range []string{body, hex.EncodeToString([]byte(body)), base64.RawStdEncoding.EncodeToString([]byte(body))} {
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("%s holds the %s", filepath.Base(path), name)
				}
			}
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("the account was found in %d files, %v", found, err)
	}
	if bytes.Contains(h.log.Bytes(), []byte(adasKey)) || bytes.Contains(h.log.Bytes(), []byte(up.Key.Reveal())) {
		t.Errorf("the log holds a key:\n%s", h.log.String())
	}
}

// An account that was brought over from the reference system keeps its id, because clients have it in their addresses.
func TestWhoWasBroughtOverSignsUpToTheSameAccount(t *testing.T) {
	s, db := newHosting(t).replica(secret, "")
	sum := sha256.Sum256([]byte("cursor-user:user_1"))
	brought := "acct_" + hex.EncodeToString(sum[:12])
	if _, err := db.SignUp(t.Context(), store.Account{ID: brought, SealedKey: []byte("old")}, store.Key{ID: "key_1", Account: brought}, store.SignUpRule{}); err != nil {
		t.Fatal(err)
	}
	if up := signUp(t, s, adasKey); up.Account.ID != brought {
		t.Errorf("signed up to %s", up.Account.ID)
	}
	if a, err := s.Recognize(t.Context(), agent.NewSecret(adasNewKey)); err != nil || a.ID != brought {
		t.Errorf("recognised as %s, %v", a.ID, err)
	}
}
