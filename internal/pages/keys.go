package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/hosted"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
)

// The page of hosted keys: signing up, and what the owner of an account may do with its keys. Every change
// needs a session that was begun with the account's Cursor key, and a form of that session (change).
//
//	GET  /keys          the page                          showKeys
//	POST /keys/signup   an account if need be, and a key  signUp
//	POST /keys/create   one more key, with a name         createKey
//	POST /keys/login    a session, no key                 enter
//	POST /keys/logout   end the session                   leave
//	POST /keys/rotate   another key in the place of one   rotateKey
//	POST /keys/revoke   a key that is good no longer      revokeKey
//	POST /keys/delete   the account is deleted            deleteAccount

// A keyring is what the page of hosted keys says. Without a session Account is nil and Keys is empty.
//
//	showKeys          nothing is set but On, and the account if somebody is logged in
//	keysTrouble       Trouble
//	fresh             Fresh alone
//	deleteAccount     Done alone
type keyring struct {
	On bool // there are hosted keys
	// Invited says that a new account needs an invitation, and Closed that there are no new ones.
	Invited, Closed bool
	// Trouble is why what was asked for was not done; "" when nothing was, or it was done.
	Trouble string
	Done    string // what was done
	// Fresh is a key that was just made. It is on this page and nowhere else.
	Fresh   string
	Base    string // the account's own base URL
	Account *store.Account
	Keys    []keyRow
	Limits  []Figure // of each key
	Form    string   // of the session
}

// A keyRow is a line of the table of keys.
type keyRow struct {
	// ID is the key's name (key_…), which forms send back. The key itself is nowhere in it.
	ID, Hint string
	Account  string
	Name     string // as its owner or the operator calls it; "" for none
	Limits   string // what it may, in words
	State    string // "good", "revoked 2026-11-30", "ended 2026-11-30"
	Created  time.Time
	Revoked  time.Time // zero while the key is good
	LastUse  time.Time // zero when the log has none
}

// showKeys answers GET /keys.
func (s *Site) showKeys(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	return s.keysPage(w, r, http.StatusOK, &keyring{})
}

// keysPage answers with the page: for whoever is logged in with an account, its keys; else how to get one. data says what
// else has happened.
//
// data is filled in here, and made by the caller for this one answer.
func (s *Site) keysPage(w http.ResponseWriter, r *http.Request, status int, data *keyring) error {
	data.On, data.Invited, data.Closed = s.cfg.HostedKeys, s.cfg.Entry == hosted.Invitation, s.cfg.Entry == hosted.Closed
	who, err := s.account(r)
	if err != nil {
		return err
	}
	if who != nil {
		if err := s.fillKeys(r, who, data); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, status, "keys", data)
}

// account is the session of whoever may manage an account: somebody who has shown its Cursor
// key. It is nil for a session of a hosted key, which may only look at its usage.
//
// Who logs in on /usage with a hosted key has the same cookie. A hosted key may lie on somebody
// else's machine, so it must never be enough to make or revoke keys.
func (s *Site) account(r *http.Request) (*session.Session, error) {
	who, err := s.loggedIn(r, accountCookie)
	if err != nil || who == nil || who.KeyID != "" {
		return nil, err
	}
	return who, nil
}

// fillKeys fills in the account, its keys and when each was last used, as far as the newest
// maxRows turns tell.
//
// LastUse is no column of the store: writing it would cost every request a write. A key whose last
// turn is older than the newest 20,000 of its account shows none.
func (s *Site) fillKeys(r *http.Request, who *session.Session, data *keyring) error {
	ctx := r.Context()
	account, err := s.cfg.Store.Account(ctx, accountOf(who))
	if errors.Is(err, store.ErrNotFound) { // deleted by the operator; its sessions went with it, but for this moment
		return nil
	}
	if err != nil {
		return session.Away(err)
	}
	keys, err := s.cfg.Store.ListKeys(ctx, account.ID)
	if err != nil {
		return session.Away(err)
	}
	logs, err := s.cfg.Store.ListRequests(ctx, store.RequestQuery{Account: account.ID, Limit: maxRows})
	if err != nil {
		return session.Away(err)
	}
	used := map[string]time.Time{}
	for _, l := range logs { // newest first
		if used[l.KeyID].IsZero() {
			used[l.KeyID] = l.Created
		}
	}
	for _, k := range keys {
		row := s.keyRow(&k)
		row.LastUse = used[k.ID]
		data.Keys = append(data.Keys, row)
	}
	for _, f := range s.cfg.Limits {
		if f.OfKey {
			data.Limits = append(data.Limits, f)
		}
	}
	data.Account, data.Form = &account, who.Form
	// Below it only the hosted keys of this account are accepted.
	data.Base = s.newView(r, nil).Address + "/u/" + account.ID + "/v1"
	return nil
}

// keyRow is a key as both the owner and the operator see it.
func (s *Site) keyRow(k *store.Key) keyRow {
	row := keyRow{ID: k.ID, Hint: k.Hint, Account: k.Account, Name: k.Name, Limits: hosted.Describe(k), State: "good", Created: k.Created, Revoked: k.Revoked}
	switch hosted.KeyState(k, s.cfg.Now()) {
	case "revoked":
		row.State = "revoked " + k.Revoked.UTC().Format(time.DateOnly)
	case "expired":
		row.State = "ended " + k.Expires.UTC().Format(time.DateOnly)
	}
	return row
}

// createKey answers POST /keys/create: one more key for the account, with a name. It has no limits, as that of a sign-up has
// none; where the operator has limited a key of the account, there is none to be had.
func (s *Site) createKey(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	who, fields, err := s.change(w, r, accountCookie)
	switch {
	case err != nil:
		return err
	case who.KeyID != "":
		return agent.Errorf(agent.PermissionDenied, "A hosted key can't make keys. Log in with your Cursor key.")
	}
	name := strings.TrimSpace(fields.Get("name"))
	if len(name) > hosted.MaxKeyName {
		return s.keysTrouble(w, r, agent.Errorf(agent.InvalidValue, "The name is too long: %d bytes are allowed.", hosted.MaxKeyName))
	}
	key, _, err := s.cfg.Accounts.AddOwnKey(r.Context(), accountOf(who), name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return agent.Errorf(agent.NotFound, "There is no such account any more. Sign up again.")
	case agent.CodeOf(err) == agent.PermissionDenied:
		return s.keysTrouble(w, r, err)
	case err != nil:
		return session.Away(err)
	}
	return s.fresh(w, r, key)
}

// signUp answers POST /keys/signup: it makes an account if there is none, and a key, and logs in.
//
//	the form ─► readForm, ParseCursorKey, limit ─► SignUp ─► session ─► the page with the key
//
// A session is begun only after the key was made. If that fails, the account has a key that nobody
// has seen; the owner sees it in the list and can revoke it.
func (s *Site) signUp(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	key, fields, err := s.cursorKey(w, r)
	if err != nil {
		return s.keysTrouble(w, r, err)
	}
	up, err := s.cfg.Accounts.SignUp(r.Context(), key, fields.Get("invitation"))
	if err != nil {
		return s.keysTrouble(w, r, err)
	}
	if err := s.logIn(w, r, accountCookie, store.AccountOwner(up.Account.ID), ""); err != nil {
		return err
	}
	// The page with the key is the answer itself, and no other page: the key is not kept. The session's cookie is on its
	// way only now, so the page does not list the keys.
	return s.fresh(w, r, up.Key)
}

// fresh answers with a page that shows a new key. It is not to be cached, and can't be loaded
// again without sending the form again.
//
// Reveal is called for nothing else in this package but forms: this is the one place where a hosted
// key leaves the server.
func (s *Site) fresh(w http.ResponseWriter, r *http.Request, key agent.Secret) error {
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, http.StatusOK, "keys", &keyring{On: true, Fresh: key.Reveal()})
}

// enter answers POST /keys/login: it logs in somebody who has an account, without another key.
// Who has no account is told so.
//
// The Cursor key proves who it is: Recognize shows it to Cursor. It is not stored again.
func (s *Site) enter(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	key, _, err := s.cursorKey(w, r)
	if err != nil {
		return s.keysTrouble(w, r, err)
	}
	account, err := s.cfg.Accounts.Recognize(r.Context(), key)
	if err != nil {
		return s.keysTrouble(w, r, err)
	}
	if err := s.logIn(w, r, accountCookie, store.AccountOwner(account.ID), ""); err != nil {
		return err
	}
	return s.seeOther(w, r, "/keys")
}

// cursorKey reads the form of signing up or logging in. Who tries too often is refused, as on
// the API's route. A key that can't be one is refused before it counts.
//
// Errors are *agent.Error, the last of them RateLimited with a time to come back.
func (s *Site) cursorKey(w http.ResponseWriter, r *http.Request) (agent.Secret, url.Values, error) {
	fields, err := readForm(w, r)
	if err != nil {
		return agent.Secret{}, nil, err
	}
	key, err := hosted.ParseCursorKey(fields.Get("key"))
	if err != nil {
		return agent.Secret{}, nil, err
	}
	return key, fields, s.cfg.SignUps.Allow(r.Context(), s.cfg.Hops.Read(r).Client)
}

// keysTrouble answers with the page and what went wrong.
func (s *Site) keysTrouble(w http.ResponseWriter, r *http.Request, err error) error {
	status, trouble := refusal(w, err)
	return s.keysPage(w, r, status, &keyring{Trouble: trouble})
}

// leave answers POST /keys/logout and POST /usage/logout: it ends the session, which both pages share, and shows the page again.
func (s *Site) leave(page string) api.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
		who, _, err := s.change(w, r, accountCookie)
		if err != nil {
			return err
		}
		if err := s.logOut(w, r, accountCookie, who); err != nil {
			return err
		}
		return s.seeOther(w, r, page)
	}
}

// changeKeys reads a form about a key of the account: only whoever has shown the Cursor key may send it, and only about
// the account's own keys.
//
// A key of somebody else gets the words of one that doesn't exist. id is the key's name.
//
// Its results are the session and the key's id. An error is answered as it is.
func (s *Site) changeKeys(w http.ResponseWriter, r *http.Request) (*session.Session, string, error) {
	who, fields, err := s.change(w, r, accountCookie)
	if err != nil {
		return nil, "", err
	}
	id := fields.Get("id")
	if who.KeyID != "" {
		return nil, "", agent.Errorf(agent.PermissionDenied, "A hosted key can't change keys. Log in with your Cursor key.")
	}
	// Looked up although the session is good: the id in a form is whatever the browser sent.
	key, _, err := s.cfg.Store.Key(r.Context(), id)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && key.Account != accountOf(who):
		return nil, "", agent.Errorf(agent.NotFound, "There is no such key. Load the page again.")
	case err != nil:
		return nil, "", session.Away(err)
	}
	return who, id, nil
}

// rotateKey answers POST /keys/rotate: another key in the place of one. The old one is bad at once.
//
// The new key is shown once, in the answer to this form.
func (s *Site) rotateKey(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	_, id, err := s.changeKeys(w, r)
	if err != nil {
		return err
	}
	token, _, err := s.cfg.Accounts.Rotate(r.Context(), id)
	if errors.Is(err, store.ErrConflict) {
		return agent.Errorf(agent.InvalidValue, "This key is revoked already. Rotate a good one, or sign up again for another.")
	}
	if err != nil {
		return session.Away(err)
	}
	return s.fresh(w, r, token)
}

// revokeKey answers POST /keys/revoke.
func (s *Site) revokeKey(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	_, id, err := s.changeKeys(w, r)
	if err != nil {
		return err
	}
	if err := s.cfg.Accounts.Revoke(r.Context(), id); err != nil {
		return session.Away(err)
	}
	return s.seeOther(w, r, "/keys")
}

// deleteAccount answers POST /keys/delete. The person has typed that it is meant.
//
// An account that is gone already is as good as deleted. The cookie is taken back; the sessions
// have gone with the account.
func (s *Site) deleteAccount(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	who, fields, err := s.change(w, r, accountCookie)
	switch {
	case err != nil:
		return err
	case who.KeyID != "":
		return agent.Errorf(agent.PermissionDenied, "A hosted key can't delete the account. Log in with your Cursor key.")
	// Only the word itself counts, without spaces or capital letters.
	case fields.Get("sure") != "delete":
		return s.keysPage(w, r, http.StatusBadRequest, &keyring{Trouble: "Nothing is deleted: type the word delete into the field."})
	}
	if err := s.cfg.Store.DeleteAccount(r.Context(), accountOf(who)); err != nil && !errors.Is(err, store.ErrNotFound) {
		return session.Away(err)
	}
	s.setCookie(w, r, accountCookie, "", -1)
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, http.StatusOK, "keys", &keyring{On: s.cfg.HostedKeys, Done: "Your account is deleted, with its Cursor key, its hosted keys, its log and what was stored."})
}
