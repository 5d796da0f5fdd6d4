package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/hosted"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
	"composer-api/internal/watch"
)

// The operator's page: what the process is doing, accounts, keys and the newest failures, and
// the two things that can't wait for a shell: revoking a key, and draining the server.
//
// It is opened by a token of its own, which is no key and belongs to no account.

// A Figure is something that the operator sees of the running process: "Parked runs", "3, the oldest for 2m". Setting is the
// variable that changes it; "" when there is none.
//
// The caller of New says which there are; the page shows them in that order.
type Figure struct {
	// All three are for people. Nothing reads them but the page and 'status'.
	Name, Value, Setting string
	OfKey                bool // a limit of each key: its owner is told, too
}

// An operation is what the operator's page says. It has nothing of what people say and no key.
//
// Without a session only HasToken and Trouble are set.
//
//	no session       a form for the token; HasToken says whether there is one at all
//	a session        figures, accounts, keys, failures, and the two buttons
type operation struct {
	// In says that there is a session. Everything below Trouble is empty without one.
	In       bool
	HasToken bool   // there is a token to log in with
	Trouble  string // why the last log-in failed
	// The word that forms of this session have to repeat (session.Session.Form).
	Form    string
	Figures []Figure // what the process does now
	Limits  []Figure // what it allows
	// Draining says that the server takes no new turns; the button is gone then.
	Draining bool
	Accounts []store.Account
	More     string // the account after which the next page begins; "" when this is the last
	// Keys are the newest of all accounts, keysShown at most.
	Keys    []keyRow
	KeysCut bool // there are more keys
	// Invited says that sign-up needs an invitation. Invitations are the newest; Fresh is one that was just made, which is on
	// this page and nowhere else.
	Invited     bool
	Invitations []invitationRow
	Fresh       string
	// Recent are the newest failures of this process, whatever the key; Failures those of hosted keys, of all processes.
	Recent   []watch.Failure
	Failures []store.RequestLog
}

// An invitationRow is a line of the table of invitations.
type invitationRow struct {
	store.Invitation
	State string // hosted.InvitationState
}

// How much the page shows.
const (
	// Accounts have pages; keys, invitations and failures are cut off, which the page says.
	accountsShown    = 100
	invitationsShown = 50
	keysShown        = 200
	failuresShown    = 50
)

// operatorMay refuses the operator's page where its token could be read on the way: on an address that other machines can
// reach, without TLS.
//
// It is asked before anything is read, also for the form of the log-in: with the page off, no token
// is ever sent.
func (s *Site) operatorMay(r *http.Request) error {
	if s.cfg.LocalOnly || s.cfg.Hops.Read(r).Scheme == "https" {
		return nil
	}
	return agent.Errorf(agent.PermissionDenied, "The operator's page is off: other machines can reach this address, and it has no TLS. Let the server listen on 127.0.0.1, or put a proxy with TLS before it and its address into COMPOSER_TRUSTED_PROXIES.")
}

// admin answers GET /admin.
func (s *Site) admin(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	if err := s.operatorMay(r); err != nil {
		return err
	}
	return s.adminPage(w, r, http.StatusOK, &operation{})
}

// adminPage answers with the page; data says what else has happened: Trouble, why what was asked for was not done, and Fresh.
//
// The status is that of what was asked for, so that a script can tell when it failed.
func (s *Site) adminPage(w http.ResponseWriter, r *http.Request, status int, data *operation) error {
	who, err := s.loggedIn(r, operatorCookie)
	if err != nil {
		return err
	}
	if who == nil {
		// Without a token the page says how to make one, instead of showing a form that can't work.
		data.HasToken, err = s.sessions.HasToken(r.Context())
	} else {
		data.In, data.Form = true, who.Form
		err = s.fillOperation(r, data)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, status, "admin", data)
}

// fillOperation fills in what the page shows.
//
// It reads everything again for each page: four reads of the store, each with a bound.
func (s *Site) fillOperation(r *http.Request, data *operation) error {
	ctx := r.Context()
	data.Figures, data.Limits, data.Recent, data.Draining = s.cfg.Live(), s.cfg.Limits, s.cfg.Failures(), s.cfg.Draining()
	accounts, err := s.cfg.Store.ListAccounts(ctx, r.URL.Query().Get("after"), accountsShown)
	if err != nil {
		return session.Away(err)
	}
	// A full page may be the last one; then the next is empty.
	if data.Accounts = accounts; len(accounts) == accountsShown {
		data.More = accounts[len(accounts)-1].ID
	}
	keys, err := s.cfg.Store.ListKeys(ctx, "")
	if err != nil {
		return session.Away(err)
	}
	for i := range keys[:min(len(keys), keysShown)] {
		data.Keys = append(data.Keys, s.keyRow(&keys[i]))
	}
	data.KeysCut = len(keys) > keysShown
	data.Invited = s.cfg.Entry == hosted.Invitation
	invitations, err := s.cfg.Store.ListInvitations(ctx, invitationsShown)
	if err != nil {
		return session.Away(err)
	}
	for _, i := range invitations {
		data.Invitations = append(data.Invitations, invitationRow{i, hosted.InvitationState(&i, s.cfg.Now())})
	}
	data.Failures, err = s.cfg.Store.ListRequests(ctx, store.RequestQuery{Failed: true, Limit: failuresShown})
	return session.Away(err)
}

// enterAdmin answers POST /admin/login.
//
// Tries are counted before the token is looked at, for each address. A wrong token is 403.
func (s *Site) enterAdmin(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	if err := s.operatorMay(r); err != nil {
		return err
	}
	fields, err := readForm(w, r)
	if err != nil {
		return err
	}
	// Read is of the proxies' headers, as far as they are trusted: behind a proxy, each visitor has
	// tries of their own.
	if err := s.cfg.OperatorTries.Allow(r.Context(), s.cfg.Hops.Read(r).Client); err != nil {
		status, trouble := refusal(w, err)
		return s.adminPage(w, r, status, &operation{Trouble: trouble})
	}
	// Only hashes are compared, so the time that it takes says nothing about the token.
	is, err := s.sessions.IsToken(r.Context(), fields.Get("token"))
	if err != nil {
		return err
	}
	if !is {
		return s.adminPage(w, r, http.StatusForbidden, &operation{Trouble: "This is not the operator's token. 'composer-api admin token' makes a new one; earlier ones are void then."})
	}
	if err := s.logIn(w, r, operatorCookie, session.Operator, ""); err != nil {
		return err
	}
	return s.seeOther(w, r, "/admin")
}

// command reads a form of the operator's. The session is checked as for every form.
//
// Errors of change are 403 and answered with the page of an error. Nothing was done then.
func (s *Site) command(w http.ResponseWriter, r *http.Request) (*session.Session, url.Values, error) {
	if err := s.operatorMay(r); err != nil {
		return nil, nil, err
	}
	return s.change(w, r, operatorCookie)
}

// leaveAdmin answers POST /admin/logout.
//
// Only this session ends; another browser of the operator's stays logged in.
func (s *Site) leaveAdmin(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	who, _, err := s.command(w, r)
	if err != nil {
		return err
	}
	if err := s.logOut(w, r, operatorCookie, who); err != nil {
		return err
	}
	return s.seeOther(w, r, "/admin")
}

// actor is who acts here, for the list of what operators did: the token says no more.
const actor = "operator's page"

// drain answers POST /admin/drain: no new turns from now on. There is no way back but a new process.
//
// Turns in progress go on to their end. A load balancer sees 503 at /readyz and sends new ones
// elsewhere.
func (s *Site) drain(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	if _, _, err := s.command(w, r); err != nil {
		return err
	}
	if err := hosted.Audit(r.Context(), s.cfg.Store, actor, "drain", "", ""); err != nil {
		return session.Away(err)
	}
	s.cfg.Log.Warn("the operator drains the server from the page")
	s.cfg.Drain()
	return s.seeOther(w, r, "/admin")
}

// revokeAny answers POST /admin/revoke: a key of whatever account.
//
// A key that is revoked already stays as it is, without an error.
func (s *Site) revokeAny(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	_, fields, err := s.command(w, r)
	if err != nil {
		return err
	}
	if err := s.cfg.Accounts.Operator(actor).RevokeKey(r.Context(), fields.Get("id")); err != nil {
		return operatorError(err)
	}
	return s.seeOther(w, r, "/admin")
}

// invite answers POST /admin/invite: the page with the invitation, which is shown once.
func (s *Site) invite(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	_, fields, err := s.command(w, r)
	if err != nil {
		return err
	}
	uses, usesErr := strconv.ParseInt(fields.Get("uses"), 10, 64)
	days, daysErr := strconv.ParseUint(fields.Get("days"), 10, 16)
	if usesErr != nil || daysErr != nil {
		return s.adminPage(w, r, http.StatusBadRequest, &operation{Trouble: "No invitation is made: how often it can be used and for how many days it is good are whole numbers."})
	}
	text, _, err := s.cfg.Accounts.Operator(actor).Invite(r.Context(), strings.TrimSpace(fields.Get("note")), uses, time.Duration(days)*24*time.Hour)
	var refused *agent.Error
	switch {
	case errors.As(err, &refused):
		status, trouble := refusal(w, err)
		return s.adminPage(w, r, status, &operation{Trouble: trouble})
	case err != nil:
		return session.Away(err)
	}
	return s.adminPage(w, r, http.StatusOK, &operation{Fresh: text.Reveal()})
}

// revokeInvitation answers POST /admin/uninvite.
func (s *Site) revokeInvitation(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	_, fields, err := s.command(w, r)
	if err != nil {
		return err
	}
	if err := s.cfg.Accounts.Operator(actor).RevokeInvitation(r.Context(), fields.Get("id")); err != nil {
		return operatorError(err)
	}
	return s.seeOther(w, r, "/admin")
}

// operatorError is an error of hosted.Operator for a person.
func operatorError(err error) error {
	var refused *agent.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, store.ErrNotFound):
		return agent.Errorf(agent.NotFound, "There is no such thing any more. Load the operator's page again.")
	}
	return session.Away(err)
}
