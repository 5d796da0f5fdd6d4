package pages

import (
	"net/http"
	"net/url"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
)

// Sessions of a browser: the cookie that names one, and the check of every form that changes
// something. What a session is, and how it is kept, is told in package session.

// Names of cookies. The operator's is another one, so that logging out here does not log out there.
const (
	// Their values are random and mean nothing without the store, which has only their hashes.
	accountCookie  = "composer_account"
	operatorCookie = "composer_operator"
)

// logIn begins a session, and ends the one that the browser had. The cookie lasts as long as
// the session may, session.Age.
//
// keyID is the hosted key by which somebody has logged in; "" for the Cursor key, which may do
// more. The old session ends first, so that a cookie that somebody has planted in the browser is
// worth nothing after the log-in.
func (s *Site) logIn(w http.ResponseWriter, r *http.Request, cookie, owner, keyID string) error {
	if before, err := s.loggedIn(r, cookie); err == nil && before != nil {
		if err := s.sessions.End(r.Context(), before); err != nil {
			return err
		}
	}
	value, err := s.sessions.Begin(r.Context(), owner, keyID)
	if err != nil {
		return err
	}
	s.setCookie(w, r, cookie, value, int(session.Age.Seconds()))
	return nil
}

// logOut ends a session. The session is gone for every browser that has its cookie.
//
// An error means that the session may still be there; the cookie is then not taken back either, so
// that the person can try again.
func (s *Site) logOut(w http.ResponseWriter, r *http.Request, cookie string, ended *session.Session) error {
	if err := s.sessions.End(r.Context(), ended); err != nil {
		return err
	}
	s.setCookie(w, r, cookie, "", -1)
	return nil
}

// setCookie sets a cookie that no script can read and no other site's page can send. Over TLS it never goes out without.
//
//	HttpOnly             no script reads it
//	SameSite=Strict      no other site's page sends it, not even by a link
//	Secure over TLS      it never goes out in the clear
//	Path                 below what a proxy has cut off, so that two servers behind one name don't share it
//
// maxAge is in seconds; a negative one deletes the cookie.
func (s *Site) setCookie(w http.ResponseWriter, r *http.Request, name, value string, maxAge int) {
	view := s.newView(r, nil)
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: view.Root + "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: s.cfg.Hops.Read(r).Scheme == "https",
	})
}

// loggedIn returns the session of the browser; nil when there is none. An unknown or expired
// cookie is no error: whoever has it is not logged in.
//
// Errors are *agent.Error: the store can't be reached.
func (s *Site) loggedIn(r *http.Request, cookie string) (*session.Session, error) {
	c, err := r.Cookie(cookie)
	if err != nil || c.Value == "" {
		return nil, nil
	}
	found, err := s.sessions.Find(r.Context(), c.Value)
	if err != nil || found == nil {
		return nil, err
	}
	// The cookie names its owner: one for accounts must not open the operator's page, nor the other way round.
	if (found.Owner == session.Operator) != (cookie == operatorCookie) {
		return nil, nil
	}
	return found, nil
}

// change reads a form that changes something for whoever is logged in. The form must be of this session.
//
// The cookie alone isn't enough, also for a browser that doesn't know SameSite: each form has a
// word that only pages of this session know (Session.Form).
//
// The fields are valid only without an error. Every handler of a POST that needs a session begins
// with it, or with one of the functions around it: command, changeKeys.
func (s *Site) change(w http.ResponseWriter, r *http.Request, cookie string) (*session.Session, url.Values, error) {
	fields, err := readForm(w, r)
	if err != nil {
		return nil, nil, err
	}
	who, err := s.loggedIn(r, cookie)
	switch {
	case err != nil:
		return nil, nil, err
	case who == nil:
		return nil, nil, agent.Errorf(agent.PermissionDenied, "You are not logged in any more. Log in, and try again.")
	case !who.Fits(fields.Get("form")):
		return nil, nil, agent.Errorf(agent.PermissionDenied, "This form is not of your session. Load the page again, and send it once more.")
	}
	return who, fields, nil
}

// seeOther sends the browser to one of our own pages, so that loading it again sends no form twice.
//
// page is a path of ours and never comes from the request.
func (s *Site) seeOther(w http.ResponseWriter, r *http.Request, page string) error {
	secure(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", s.newView(r, nil).Root+page)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// refusal is what a page says of an error that it shows itself: the status and the sentence are those of the API, and so are
// the headers that say when to try again, which it sets.
//
//	too many tries   429, Retry-After
//	a bad key        401
//	Cursor is away   502 or 503
func refusal(w http.ResponseWriter, err error) (status int, trouble string) {
	e := agent.AsError(err)
	openai.SetRetryHeaders(w.Header(), e)
	return openai.RowOf(e.Code).Status, openai.Message(e)
}

// accountOf is the account of a session's owner.
func accountOf(who *session.Session) string {
	return strings.TrimPrefix(who.Owner, store.AccountOwner(""))
}
