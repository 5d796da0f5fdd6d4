package admin

import (
	"errors"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/kept"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

// The handlers, in the order of the routes.

// listAccounts answers GET /api/admin/accounts, in the order of their ids: after asks for the next page.
func (h *handlers) listAccounts(r *http.Request, _ *hosted.Operator) (any, error) {
	page, err := kept.ReadPage(r.URL.Query(), false)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.ListAccounts(r.Context(), page.After, page.Limit+1) // one more says whether more follow
	return newList(all, page.Limit, newAccount), problem(err, "account", "")
}

// account answers GET /api/admin/accounts/{id}.
func (h *handlers) account(r *http.Request, _ *hosted.Operator) (any, error) {
	// After an error operators drops the answer, so the empty account is never seen. The same holds below.
	a, err := h.cfg.Store.Account(r.Context(), r.PathValue("id"))
	return newAccount(&a), problem(err, "account", r.PathValue("id"))
}

// limitAccount answers PATCH /api/admin/accounts/{id}: the limits are replaced as a whole.
func (h *handlers) limitAccount(r *http.Request, o *hosted.Operator) (any, error) {
	var change struct {
		Limits *store.KeyLimits `json:"limits"`
	}
	if err := decode(r, &change); err != nil {
		return nil, err
	}
	// A body without limits is a mistake and not a wish to take all limits away: that is {"limits": {}}.
	if change.Limits == nil {
		return nil, agent.ParamError(agent.MissingParameter, "limits", "There is nothing to change. Send limits, an empty object for none.")
	}
	a, err := o.LimitAccount(r.Context(), r.PathValue("id"), func(l *store.KeyLimits) error {
		*l = *change.Limits
		return nil
	})
	return newAccount(&a), problem(err, "account", r.PathValue("id"))
}

// deleteAccount answers DELETE /api/admin/accounts/{id}.
func (h *handlers) deleteAccount(r *http.Request, o *hosted.Operator) (any, error) {
	id := r.PathValue("id")
	return deleted{Object: "admin.account.deleted", ID: id, Deleted: true}, problem(o.DeleteAccount(r.Context(), id), "account", id)
}

// listKeys answers GET /api/admin/keys, newest first: account asks for those of one account. The store knows no pages of keys,
// because an account has few, so they are cut here; on a server with very many keys, ask account by account.
func (h *handlers) listKeys(r *http.Request, _ *hosted.Operator) (any, error) {
	page, err := kept.ReadPage(r.URL.Query(), true)
	if err != nil {
		return nil, err
	}
	// An account that doesn't exist has no keys: the list is empty, and no error.
	all, err := h.cfg.Store.ListKeys(r.Context(), r.URL.Query().Get("account"))
	if err != nil {
		return nil, problem(err, "key", "")
	}
	return newPage(all, &page, func(k *store.Key) string { return k.ID }, h.newKey)
}

// createKey answers POST /api/admin/keys. The answer has the key itself, which is shown only now.
func (h *handlers) createKey(r *http.Request, o *hosted.Operator) (any, error) {
	var asked struct {
		Account string `json:"account"`
		keyChange
	}
	if err := decode(r, &asked); err != nil {
		return nil, err
	}
	if asked.Account == "" {
		return nil, agent.ParamError(agent.MissingParameter, "account", "Say in account whose key it is to be: acct_….")
	}
	// Of a new key nothing is set, so what was sent is all there is.
	var as store.Key
	if err := asked.apply(&as, h.cfg.Now()); err != nil {
		return nil, err
	}
	token, key, err := o.CreateKey(r.Context(), asked.Account, as)
	if err != nil {
		return nil, problem(err, "account", asked.Account)
	}
	return h.withToken(&key, token), nil
}

// key answers GET /api/admin/keys/{id}.
func (h *handlers) key(r *http.Request, _ *hosted.Operator) (any, error) {
	k, _, err := h.cfg.Store.Key(r.Context(), r.PathValue("id"))
	return h.newKey(&k), problem(err, "key", r.PathValue("id"))
}

// changeKey answers PATCH /api/admin/keys/{id}: what is not sent stays.
func (h *handlers) changeKey(r *http.Request, o *hosted.Operator) (any, error) {
	var change keyChange
	if err := decode(r, &change); err != nil {
		return nil, err
	}
	k, err := o.ChangeKey(r.Context(), r.PathValue("id"), func(k *store.Key) error { return change.apply(k, h.cfg.Now()) })
	return h.newKey(&k), problem(err, "key", r.PathValue("id"))
}

// revokeKey answers POST /api/admin/keys/{id}/revoke. To do it again is no error.
func (h *handlers) revokeKey(r *http.Request, o *hosted.Operator) (any, error) {
	if err := o.RevokeKey(r.Context(), r.PathValue("id")); err != nil {
		return nil, problem(err, "key", r.PathValue("id"))
	}
	// The key as it is now, with the time of its first revocation.
	return h.key(r, o)
}

// rotateKey answers POST /api/admin/keys/{id}/rotate with the key that takes the place of the other.
func (h *handlers) rotateKey(r *http.Request, o *hosted.Operator) (any, error) {
	token, key, err := o.RotateKey(r.Context(), r.PathValue("id"))
	// The other conflict, a new key whose id exists, does not occur: ids are random.
	if errors.Is(err, store.ErrConflict) {
		return nil, agent.Errorf(agent.InvalidValue, "The key is revoked already. Rotate a good one, or create another.")
	}
	if err != nil {
		return nil, problem(err, "key", r.PathValue("id"))
	}
	return h.withToken(&key, token), nil
}

// listInvitations answers GET /api/admin/invitations, newest first. Pages are cut here, as those of keys.
func (h *handlers) listInvitations(r *http.Request, _ *hosted.Operator) (any, error) {
	page, err := kept.ReadPage(r.URL.Query(), true)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.ListInvitations(r.Context(), rowsFor(&page))
	if err != nil {
		return nil, problem(err, "invitation", "")
	}
	return newPage(all, &page, func(i *store.Invitation) string { return i.ID }, h.newInvitation)
}

// invite answers POST /api/admin/invitations. The answer has the invitation itself, which is shown only now.
func (h *handlers) invite(r *http.Request, o *hosted.Operator) (any, error) {
	asked := struct {
		Note      string `json:"note"`
		Uses      int64  `json:"uses"`
		ExpiresAt int64  `json:"expires_at"`
	}{Uses: 1}
	if err := decode(r, &asked); err != nil {
		return nil, err
	}
	// package hosted checks the age: a time that has passed makes it negative, and that is refused.
	age := 7 * 24 * time.Hour
	if asked.ExpiresAt != 0 {
		age = time.Unix(asked.ExpiresAt, 0).Sub(h.cfg.Now())
	}
	text, i, err := o.Invite(r.Context(), asked.Note, asked.Uses, age)
	if err != nil {
		return nil, problem(err, "invitation", "")
	}
	// The store has only a hash of the text, so no later answer can have it.
	row := h.newInvitation(&i)
	row.Invitation = text.Reveal()
	return row, nil
}

// revokeInvitation answers POST /api/admin/invitations/{id}/revoke. To do it again is no error.
func (h *handlers) revokeInvitation(r *http.Request, o *hosted.Operator) (any, error) {
	id := r.PathValue("id")
	if err := o.RevokeInvitation(r.Context(), id); err != nil {
		return nil, problem(err, "invitation", id)
	}
	i, err := h.cfg.Store.Invitation(r.Context(), id)
	return h.newInvitation(&i), problem(err, "invitation", id)
}

// listActs answers GET /api/admin/audit: what operators have done, newest first. Pages are cut here, as those of keys.
func (h *handlers) listActs(r *http.Request, _ *hosted.Operator) (any, error) {
	page, err := kept.ReadPage(r.URL.Query(), true)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.ListAudits(r.Context(), rowsFor(&page))
	if err != nil {
		return nil, problem(err, "act", "")
	}
	return newPage(all, &page, func(e *store.AuditEntry) string { return e.ID }, newEntry)
}

// limits answers GET /api/admin/limits.
func (h *handlers) limits(*http.Request, *hosted.Operator) (any, error) {
	// A copy, so that Data is [] and not null when there are none.
	return list[Limit]{Object: "list", Data: append([]Limit{}, h.cfg.Limits...)}, nil
}

// problem is an error of the operator or of the store for the client; nil stays nil.
func problem(err error, what, id string) error {
	var told *agent.Error
	switch {
	case err == nil:
		return nil
	// Package hosted's own errors, such as that of a limit out of range, are meant for the operator.
	case errors.As(err, &told):
		return told
	case errors.Is(err, store.ErrNotFound):
		return agent.Errorf(agent.NotFound, "There is no %s '%s'.", what, id)
	}
	return kept.Error(err)
}
