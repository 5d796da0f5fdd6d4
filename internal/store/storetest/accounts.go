package storetest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"composer-api/internal/store"
)

// The exam's questions about accounts and hosted keys.

// account and key make rows with all texts and times set, so that a field which a store forgets shows.

// account makes an account without limits. The sealed key has a NUL in it: it is bytes.
func account(id string) store.Account {
	return store.Account{
		ID: id, Email: id + "@example.com", Name: "Ada", SealedKey: []byte("sealed\x00" + id), KeyHint: "crsr_…a1b2",
		Created: epoch, Updated: epoch,
	}
}

// key makes a hosted key with limits that is good for a day; its hash is that of its id.
func key(id, account string) store.Key {
	return store.Key{
		ID: id, Account: account, Hash: sha256.Sum256([]byte(id)), Hint: "cmp_…" + id, Created: epoch,
		Name: "laptop", Expires: at(24 * time.Hour), Limits: limits(),
	}
}

// limits has every field set.
func limits() store.KeyLimits {
	return store.KeyLimits{
		// Numbers that a column of 32 bits, or of whole dollars, would cut off.
		Surfaces: []string{"chat", "messages"}, Models: []string{"composer-*"}, NoFast: true, Concurrent: 2,
		RequestsPerMinute: 60, TokensPerMinute: 1 << 40, USDPerDay: 1.5, USDPerMonth: 20.25,
	}
}

// signUp signs up and fails the exam on an error.
func signUp(e *exam, a store.Account, k store.Key) store.Account {
	e.Helper()
	return get[store.Account](e)(e.SignUp(e.ctx, a, k, store.SignUpRule{}))
}

// accountCases are about sign-ups and accounts.
var accountCases = []examCase{
	// What is stored comes back whole, by each of the ways to ask for it.
	{name: "a sign-up makes an account and its key", run: func(e *exam) {
		e.same(signUp(e, account("acct_1"), key("key_1", "acct_1")), account("acct_1"))
		e.same(get[store.Account](e)(e.Account(e.ctx, "acct_1")), account("acct_1"))
		e.same(get[[]store.Key](e)(e.ListKeys(e.ctx, "acct_1")), []store.Key{key("key_1", "acct_1")})
	}},
	// The hosted keys of the first sign-up stay valid: they may be in use on another machine.
	{name: "a second sign-up replaces the Cursor key, not the account", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		// Everything is new but the id; the time of the first sign-up must stay.
		again := store.Account{ID: "acct_1", Email: "new@example.com", Name: "Ada L.", SealedKey: []byte("other"), KeyHint: "crsr_…9999", Created: at(time.Hour), Updated: at(time.Hour)}
		got := signUp(e, again, key("key_2", "acct_1"))
		want := again
		want.Created = epoch
		e.same(got, want)
		e.same(len(get[[]store.Key](e)(e.ListKeys(e.ctx, "acct_1"))), 2)
	}},
	// Account and key are one transaction: no account without the key that its owner was shown.
	{name: "a sign-up whose key exists changes nothing", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		_, err := e.SignUp(e.ctx, account("acct_2"), key("key_1", "acct_2"), store.SignUpRule{})
		e.fails(err, store.ErrConflict)
		_, err = e.Account(e.ctx, "acct_2")
		e.fails(err, store.ErrNotFound)
	}},
	// An impatient person presses the button again, and a load balancer sends that to another replica.
	{name: "fifty sign-ups of one user at once, on two replicas, leave one account", run: func(e *exam) {
		replicas := []store.Store{e.Store, e.open()}
		e.together(50, func(i int) error {
			_, err := replicas[i%2].SignUp(e.ctx, account("acct_1"), key(fmt.Sprintf("key_%d", i), "acct_1"), store.SignUpRule{})
			return err
		})
		e.same(len(get[[]store.Account](e)(e.ListAccounts(e.ctx, "", 100))), 1)
		// Every one of the fifty was shown a key, so every key must work.
		e.same(len(get[[]store.Key](e)(e.ListKeys(e.ctx, "acct_1"))), 50)
	}},
	// after is exclusive, and the last page is short or empty.
	{name: "accounts are listed page by page", run: func(e *exam) {
		for _, id := range []string{"acct_3", "acct_1", "acct_2"} {
			signUp(e, account(id), key("key_of_"+id, id))
		}
		e.same(get[[]store.Account](e)(e.ListAccounts(e.ctx, "", 2)), []store.Account{account("acct_1"), account("acct_2")})
		e.same(get[[]store.Account](e)(e.ListAccounts(e.ctx, "acct_2", 2)), []store.Account{account("acct_3")})
		e.same(len(get[[]store.Account](e)(e.ListAccounts(e.ctx, "acct_3", 2))), 0)
	}},
	// Two requests may find the key sealed with the old ENCRYPTION_KEY at the same time, while a sign-up
	// brings another Cursor key.
	{name: "a sealed key is replaced only if nobody was faster", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		e.ok(e.ReplaceSealedKey(e.ctx, "acct_1", account("acct_1").SealedKey, []byte("resealed")))
		// The old value is the condition: whoever has read it before the replacement comes too late.
		e.fails(e.ReplaceSealedKey(e.ctx, "acct_1", account("acct_1").SealedKey, []byte("too late")), store.ErrConflict)
		e.fails(e.ReplaceSealedKey(e.ctx, "acct_2", []byte("x"), []byte("y")), store.ErrNotFound)
		e.same(string(get[store.Account](e)(e.Account(e.ctx, "acct_1")).SealedKey), "resealed")
	}},
	// One row of each kind for two accounts, of which one is deleted.
	{name: "deleting an account deletes all that is its and nothing that isn't", run: func(e *exam) {
		for _, id := range []string{"acct_1", "acct_2"} {
			owner := store.AccountOwner(id)
			signUp(e, account(id), key("key_of_"+id, id))
			l := requestLog("log_of_" + id)
			l.Account = id
			e.ok(e.BeginRequest(e.ctx, l))
			e.ok(e.PutSession(e.ctx, session(owner, "s", time.Hour)))
			e.ok(e.CreateResponse(e.ctx, response(owner, "resp_1", 0)))
			e.ok(e.AppendEvents(e.ctx, owner, "resp_1", []store.Event{{Data: []byte("x")}}))
			e.ok(e.PutConversation(e.ctx, conversation(owner, "hash", 0)))
			e.ok(e.CreateDocument(e.ctx, document(owner, "doc_1", 0), parts("a")))
		}
		// what is left of an account: account, key, logs, response, events, conversation, document, session
		// The order is that of the list above. A session can only be seen by opening it: an old one
		// gives its own agent back.
		left := func(id string) []bool {
			owner := store.AccountOwner(id)
			_, noAccount := e.Account(e.ctx, id)
			_, _, noKey := e.Key(e.ctx, "key_of_"+id)
			logs := get[[]store.RequestLog](e)(e.ListRequests(e.ctx, store.RequestQuery{Account: id, Limit: 10}))
			_, noResponse := e.Response(e.ctx, owner, "resp_1")
			events := get[[]store.Event](e)(e.ListEvents(e.ctx, owner, "resp_1", -1, 10))
			_, noConversation := e.Conversation(e.ctx, owner, "localagent", []byte("hash"))
			_, noDocument := e.Document(e.ctx, owner, "doc_1")
			s := session(owner, "s", time.Hour)
			s.AgentID = "a new one"
			s = get[store.Session](e)(e.OpenSession(e.ctx, s))
			return []bool{noAccount == nil, noKey == nil, len(logs) > 0, noResponse == nil, len(events) > 0, noConversation == nil, noDocument == nil, s.AgentID != "a new one"}
		}
		e.ok(e.DeleteAccount(e.ctx, "acct_1"))
		e.same(left("acct_1"), make([]bool, 8))
		e.same(left("acct_2"), []bool{true, true, true, true, true, true, true, true})
		// A second time there is nothing to delete, and the caller is told.
		e.fails(e.DeleteAccount(e.ctx, "acct_1"), store.ErrNotFound)
	}},
}

// keyCases are about hosted keys: their lists, revocation and rotation.
var keyCases = []examCase{
	// One call has both, because every request with a hosted key makes it.
	{name: "a key comes with its account", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		k, a, err := e.Key(e.ctx, "key_1")
		e.ok(err)
		e.same(k, key("key_1", "acct_1"))
		e.same(a, account("acct_1"))
		_, _, err = e.Key(e.ctx, "key_2")
		e.fails(err, store.ErrNotFound)
	}},
	// "" stands for all accounts.
	{name: "keys are listed newest first, of one account or of all", run: func(e *exam) {
		older, newer, others := key("key_1", "acct_1"), key("key_2", "acct_1"), key("key_3", "acct_2")
		newer.Created, others.Created = at(time.Hour), at(2*time.Hour)
		signUp(e, account("acct_1"), older)
		signUp(e, account("acct_1"), newer)
		signUp(e, account("acct_2"), others)
		// A second key of the same moment. Without an order of the ids, the list could differ from call to call.
		twin := newer
		twin.ID, twin.Hash = "key_2b", key("key_2b", "acct_1").Hash
		signUp(e, account("acct_1"), twin)
		e.same(get[[]store.Key](e)(e.ListKeys(e.ctx, "acct_1")), []store.Key{newer, twin, older})
		e.same(get[[]store.Key](e)(e.ListKeys(e.ctx, "")), []store.Key{others, newer, twin, older})
		e.same(len(get[[]store.Key](e)(e.ListKeys(e.ctx, "acct_3"))), 0)
	}},
	// Its owner has several, each for a machine of theirs.
	{name: "a key is added to an account and changed", run: func(e *exam) {
		// There is no account yet, and a key makes none.
		e.fails(e.AddKey(e.ctx, key("key_2", "acct_1")), store.ErrNotFound)
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		e.ok(e.AddKey(e.ctx, key("key_2", "acct_1")))
		e.fails(e.AddKey(e.ctx, key("key_2", "acct_1")), store.ErrConflict)
		k, a, err := e.Key(e.ctx, "key_2")
		e.ok(err)
		e.same(k, key("key_2", "acct_1"))
		e.same(a, account("acct_1"))
		// Only these three fields are changed, whatever else is given. No limits is a state like another.
		e.ok(e.ChangeKey(e.ctx, store.Key{ID: "key_2", Account: "acct_9", Name: "desk", Hint: "other", Revoked: epoch}))
		want := key("key_2", "acct_1")
		want.Name, want.Expires, want.Limits = "desk", time.Time{}, store.KeyLimits{}
		k, _, err = e.Key(e.ctx, "key_2")
		e.ok(err)
		e.same(k, want)
		// A change never adds a key.
		e.fails(e.ChangeKey(e.ctx, key("key_3", "acct_1")), store.ErrNotFound)
	}},
	// When a leaked key was revoked first is what an operator wants to know.
	{name: "a revoked key stays, with the time of its first revocation", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		e.ok(e.RevokeKey(e.ctx, "key_1", at(time.Hour)))
		// Again, later: no error, and no change.
		e.ok(e.RevokeKey(e.ctx, "key_1", at(2*time.Hour)))
		k, _, err := e.Key(e.ctx, "key_1")
		e.ok(err)
		e.same(k.Revoked, at(time.Hour))
		e.fails(e.RevokeKey(e.ctx, "key_2", epoch), store.ErrNotFound)
	}},
	// After a failed rotation the old key must still work.
	{name: "rotation takes one key and gives another, both or neither", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		signUp(e, account("acct_2"), key("key_other", "acct_2"))
		next := key("key_2", "acct_1")
		next.Created = at(time.Hour)
		taken := key("key_other", "acct_1")
		// The id of the new key is one that exists: nothing may be changed.
		e.fails(e.RotateKey(e.ctx, "key_1", taken), store.ErrConflict)
		// It is the same error as for no key at all, so nobody can find out which keys exist.
		e.fails(e.RotateKey(e.ctx, "key_other", next), store.ErrNotFound) // another account's
		e.fails(e.RotateKey(e.ctx, "key_9", next), store.ErrNotFound)
		e.ok(e.RotateKey(e.ctx, "key_1", next))
		e.fails(e.RotateKey(e.ctx, "key_1", key("key_3", "acct_1")), store.ErrConflict) // revoked already
		// The old key is revoked at the time when the new one was made.
		old := key("key_1", "acct_1")
		old.Revoked = at(time.Hour)
		e.same(get[[]store.Key](e)(e.ListKeys(e.ctx, "acct_1")), []store.Key{next, old})
	}},
}
