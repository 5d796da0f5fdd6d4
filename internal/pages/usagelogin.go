package pages

import (
	"net/http"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
)

// Who may look at turns: the log-in of /usage. Who has shown the account's Cursor key sees all of its keys, who has shown a hosted key
// that one alone.

// mayLook is the session of whoever may look at turns. Who is not logged in is refused.
func (s *Site) mayLook(r *http.Request) (*session.Session, error) {
	who, err := s.loggedIn(r, accountCookie)
	switch {
	case err != nil:
		return nil, err
	case who == nil:
		return nil, agent.Errorf(agent.PermissionDenied, "Log in on /usage first.")
	}
	return who, s.stillGood(r, who)
}

// stillGood refuses the session of a hosted key that was revoked or has expired since, as the API refuses the key itself. nil is
// for a session of the whole account, too.
func (s *Site) stillGood(r *http.Request, who *session.Session) error {
	if who.KeyID == "" {
		return nil
	}
	key, _, err := s.cfg.Store.Key(r.Context(), who.KeyID)
	if err != nil {
		return session.Away(err)
	}
	switch hosted.KeyState(&key, s.cfg.Now()) {
	case "revoked":
		return agent.Errorf(agent.PermissionDenied, "This key was revoked. Log in with another, or with your Cursor key.")
	case "expired":
		return agent.Errorf(agent.PermissionDenied, "This key has expired. Log in with another, or with your Cursor key.")
	}
	return nil
}

// enterUsage answers POST /usage: it logs in with a key. A Cursor key opens the account; a hosted key, which may lie on a
// machine of somebody else, opens its own usage and nothing more.
//
// It makes no account and no key.
func (s *Site) enterUsage(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	fields, err := readForm(w, r)
	if err != nil {
		return err
	}
	owner, keyID, err := s.whose(r, strings.TrimSpace(fields.Get("key")))
	if err != nil {
		status, trouble := refusal(w, err)
		return s.usagePage(w, r, status, trouble)
	}
	if err := s.logIn(w, r, accountCookie, owner, keyID); err != nil {
		return err
	}
	return s.seeOther(w, r, "/usage")
}

// whose finds out what a key may see.
//
// A hosted key needs no limit of tries: it can't be guessed. A Cursor key is shown to Cursor,
// so it counts as a sign-up does.
func (s *Site) whose(r *http.Request, key string) (owner, keyID string, err error) {
	caller, err := s.cfg.Caller(r.Context(), key)
	if err != nil {
		return "", "", err
	}
	if strings.HasPrefix(key, keys.Prefix) {
		return caller.Owner, caller.KeyID, nil
	}
	// After Caller, which has refused what can't be a key without asking anybody.
	if err := s.cfg.SignUps.Allow(r.Context(), s.cfg.Hops.Read(r).Client); err != nil {
		return "", "", err
	}
	account, err := s.cfg.Accounts.Recognize(r.Context(), caller.CursorKey)
	if agent.CodeOf(err) == agent.NotFound {
		return "", "", agent.Errorf(agent.NotFound, "Requests with a Cursor key of your own leave nothing here, so there is nothing to show. With a hosted key they are counted.")
	}
	return store.AccountOwner(account.ID), "", err
}
