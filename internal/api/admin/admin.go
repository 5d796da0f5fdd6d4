// Package admin is what an operator may do, for programs: the same as by the commands 'accounts', 'keys', 'invitations' and
// 'audit', and as on the page /admin.
//
//	GET  /api/admin/accounts               GET PATCH DELETE  /api/admin/accounts/{id}
//	GET POST  /api/admin/keys              GET PATCH         /api/admin/keys/{id}
//	POST /api/admin/keys/{id}/revoke       POST /api/admin/keys/{id}/rotate
//	GET POST  /api/admin/invitations       POST /api/admin/invitations/{id}/revoke
//	GET  /api/admin/audit                  GET /api/admin/limits
//
// The bearer token is the operator's (decisions/0057), and nothing else opens it: no key, and no cookie. It is off where the
// page is off. Package hosted does the work, and writes each act down before it is done.
//
//	admin.go   who may ask; routes
//	acts.go    the handlers
//	rows.go    what is answered, and what is asked
package admin

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/forwarded"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

// Config is what the routes need. All but Limits, Now and Log have to be set.
type Config struct {
	// Operator acts in the name of whoever asks: hosted.Service.Operator.
	Operator func(who string) *hosted.Operator
	// Store is where lists are read from. Its errors are the store's.
	Store Store
	// IsToken reports whether a text is the operator's token. Its errors are *agent.Error.
	IsToken func(ctx context.Context, text string) (bool, error)
	// Tries bounds how often an address may send a wrong token.
	Tries *hosted.Limiter
	// Hops finds out who asks, behind proxies, and whether over TLS.
	Hops *forwarded.Reader
	// LocalOnly says that only this machine can reach the server.
	LocalOnly bool
	// Limits are what this server allows, for GET /api/admin/limits.
	Limits []Limit
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Log is told of wrong tokens. Nil discards it.
	Log *slog.Logger
}

// Store is what is read without an act.
type Store interface {
	store.Accounts
	store.Keys
	store.Invitations
	store.Audits
}

// A Limit is something that this server allows, in words, with the variable that changes it ("" for none).
type Limit struct {
	// Name and Value are for people; nothing is to be read out of them.
	Name    string `json:"name"`
	Value   string `json:"value"`
	Setting string `json:"setting,omitempty"`
}

// Routes are the routes of the admin API. Their paths are absolute, and the token is checked here, not by httpd.
func Routes(cfg Config) []api.Route {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &handlers{cfg}
	// Open tells httpd to let them through without a key of a client: each handler asks for the operator's token instead.
	return []api.Route{
		{Pattern: "GET /api/admin/accounts", Open: true, Handle: h.operators(h.listAccounts)},
		{Pattern: "GET /api/admin/accounts/{id}", Open: true, Handle: h.operators(h.account)},
		{Pattern: "PATCH /api/admin/accounts/{id}", Open: true, Handle: h.operators(h.limitAccount)},
		{Pattern: "DELETE /api/admin/accounts/{id}", Open: true, Handle: h.operators(h.deleteAccount)},
		{Pattern: "GET /api/admin/keys", Open: true, Handle: h.operators(h.listKeys)},
		{Pattern: "POST /api/admin/keys", Open: true, Handle: h.operators(h.createKey)},
		{Pattern: "GET /api/admin/keys/{id}", Open: true, Handle: h.operators(h.key)},
		{Pattern: "PATCH /api/admin/keys/{id}", Open: true, Handle: h.operators(h.changeKey)},
		{Pattern: "POST /api/admin/keys/{id}/revoke", Open: true, Handle: h.operators(h.revokeKey)},
		{Pattern: "POST /api/admin/keys/{id}/rotate", Open: true, Handle: h.operators(h.rotateKey)},
		{Pattern: "GET /api/admin/invitations", Open: true, Handle: h.operators(h.listInvitations)},
		{Pattern: "POST /api/admin/invitations", Open: true, Handle: h.operators(h.invite)},
		{Pattern: "POST /api/admin/invitations/{id}/revoke", Open: true, Handle: h.operators(h.revokeInvitation)},
		{Pattern: "GET /api/admin/audit", Open: true, Handle: h.operators(h.listActs)},
		{Pattern: "GET /api/admin/limits", Open: true, Handle: h.operators(h.limits)},
	}
}

// handlers has no state of its own.
type handlers struct{ cfg Config }

// An act is a handler that knows who acts. It returns what is answered, as JSON.
type act func(r *http.Request, o *hosted.Operator) (any, error)

// operators lets the operator in, and nobody else.
//
//  1. where the token could be read on the way, the API is off: it is not even looked at
//  2. a wrong token counts against its address; a right one never does, so that scripts are not held up
func (h *handlers) operators(do act) api.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
		// For an answer with a key in it, and for one that says that there is no such token.
		w.Header().Set("Cache-Control", "no-store")
		// Client is the address that wrong tokens are counted against.
		from := h.cfg.Hops.Read(r)
		if !h.cfg.LocalOnly && from.Scheme != "https" {
			return agent.Errorf(agent.PermissionDenied, "The admin API is off: other machines can reach this address, and it has no TLS. Let the server listen on 127.0.0.1, give it a certificate (COMPOSER_TLS_CERT), or put a proxy with TLS before it and its address into COMPOSER_TRUSTED_PROXIES.")
		}
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		is, err := h.cfg.IsToken(r.Context(), token)
		if err != nil {
			return err
		}
		if !is {
			h.cfg.Log.Warn("a wrong token for the admin API", "client", from.Client)
			// After too many from one address it says when to try again.
			if err := h.cfg.Tries.Allow(r.Context(), from.Client); err != nil {
				return err
			}
			return agent.Errorf(agent.InvalidKey, "This is not the operator's token. Send the one of 'composer-api admin token' as the bearer token; earlier ones are void.")
		}
		answer, err := do(r, h.cfg.Operator("admin API, from "+from.Client.String()))
		if err != nil {
			return err
		}
		// An act is done by now. If the answer can't be written the client has to look at the row.
		return encode(w, answer)
	}
}
