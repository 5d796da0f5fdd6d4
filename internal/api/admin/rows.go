package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/kept"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

// What is answered and asked. Times are Unix times, in seconds, as in OpenAI's APIs. Limits have the names that the store
// keeps them under (store.KeyLimits), which never change.

// A list is a page of rows.
type list[T any] struct {
	Object string `json:"object"` // "list"
	Data   []T    `json:"data"`
	// HasMore says that there are rows after the last of Data.
	HasMore bool `json:"has_more"`
}

// newList makes a list of the first of the rows, of which there may be one more.
func newList[Row, T any](rows []Row, most int, of func(*Row) T) list[T] {
	l := list[T]{Object: "list", Data: []T{}, HasMore: len(rows) > most}
	for i := range rows[:min(len(rows), most)] {
		l.Data = append(l.Data, of(&rows[i]))
	}
	return l
}

// mostRows is how many rows of a list can be paged through where the store has no pages: far more than an operator makes in a year.
const mostRows = 10_000

// rowsFor is how many rows to ask the store for, so that newPage can cut a page out of them. The first page needs one more than
// it shows, and a later one all before it.
func rowsFor(page *store.Page) int {
	if page.After == "" {
		return page.Limit + 1
	}
	return mostRows
}

// newPage cuts a page out of all rows, in their order. The error says that page.After is not among them.
func newPage[Row, T any](all []Row, page *store.Page, id func(*Row) string, of func(*Row) T) (any, error) {
	if page.After != "" {
		i := slices.IndexFunc(all, func(row Row) bool { return id(&row) == page.After })
		if i < 0 {
			return nil, kept.NotAfter(page.After)
		}
		all = all[i+1:]
	}
	return newList(all, page.Limit, of), nil
}

// An account is what an operator may see of one.
type account struct {
	Object    string          `json:"object"` // "admin.account"
	ID        string          `json:"id"`
	Email     string          `json:"email"`
	Name      string          `json:"name"`
	KeyHint   string          `json:"cursor_key_hint"`
	CreatedAt int64           `json:"created_at"`
	UpdatedAt int64           `json:"updated_at"` // the last sign-up
	Limits    store.KeyLimits `json:"limits"`     // of all keys together
}

func newAccount(a *store.Account) account {
	return account{"admin.account", a.ID, a.Email, a.Name, a.KeyHint, a.Created.Unix(), a.Updated.Unix(), a.Limits}
}

// deleted says that something is gone.
type deleted struct {
	Object  string `json:"object"`
	ID      string `json:"id"`
	Deleted bool   `json:"deleted"`
}

// A key is what an operator may see of one. Key is the credential, in the answer that makes one and nowhere else.
type key struct {
	Object string `json:"object"` // "admin.key"
	// Times are Unix, in seconds; null where there is none.
	ID        string          `json:"id"`
	Account   string          `json:"account"`
	Name      string          `json:"name"`
	Hint      string          `json:"hint"`
	State     string          `json:"state"` // "good", "revoked", "expired"
	CreatedAt int64           `json:"created_at"`
	ExpiresAt *int64          `json:"expires_at"` // null for never
	RevokedAt *int64          `json:"revoked_at"`
	Limits    store.KeyLimits `json:"limits"`
	Key       string          `json:"key,omitempty"`
}

func (h *handlers) newKey(k *store.Key) key {
	return key{Object: "admin.key", ID: k.ID, Account: k.Account, Name: k.Name, Hint: k.Hint, State: hosted.KeyState(k, h.cfg.Now()), CreatedAt: k.Created.Unix(), ExpiresAt: unix(k.Expires), RevokedAt: unix(k.Revoked), Limits: k.Limits}
}

// withToken is a key that was just made.
func (h *handlers) withToken(k *store.Key, token agent.Secret) key {
	row := h.newKey(k)
	row.Key = token.Reveal()
	return row
}

// An invitation is what an operator may see of one. Invitation is the text, in the answer that makes one and nowhere else.
type invitation struct {
	Object     string `json:"object"` // "admin.invitation"
	ID         string `json:"id"`
	Note       string `json:"note"`
	State      string `json:"state"` // "good", "used up", "revoked", "over"
	CreatedAt  int64  `json:"created_at"`
	ExpiresAt  int64  `json:"expires_at"`
	RevokedAt  *int64 `json:"revoked_at"`
	Uses       int64  `json:"uses"`
	Used       int64  `json:"used"`
	Invitation string `json:"invitation,omitempty"`
}

func (h *handlers) newInvitation(i *store.Invitation) invitation {
	return invitation{"admin.invitation", i.ID, i.Note, hosted.InvitationState(i, h.cfg.Now()), i.Created.Unix(), i.Expires.Unix(), unix(i.Revoked), i.Uses, i.Used, ""}
}

// An entry is an act of an operator.
type entry struct {
	Object string `json:"object"` // "admin.act"
	ID     string `json:"id"`
	// At is Unix, in seconds. Subject and Detail may be "".
	At      int64  `json:"at"`
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
}

func newEntry(e *store.AuditEntry) entry {
	return entry{"admin.act", e.ID, e.At.Unix(), e.Actor, e.Action, e.Subject, e.Detail}
}

// unix is a time that may be none.
func unix(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := t.Unix()
	return &s
}

// A keyChange is what of a key is to change. What is not sent stays; limits are replaced as a whole.
type keyChange struct {
	// A pointer that is nil was not sent.
	Name      *string          `json:"name"`
	ExpiresAt *int64           `json:"expires_at"` // 0 for never
	Limits    *store.KeyLimits `json:"limits"`
}

// apply changes a key. Errors are *agent.Error; limits are checked by hosted.Operator.
func (c *keyChange) apply(k *store.Key, now time.Time) error {
	if c.Name != nil {
		if len(*c.Name) > hosted.MaxKeyName {
			return agent.ParamError(agent.InvalidValue, "name", "The name is too long: %d bytes are allowed.", hosted.MaxKeyName)
		}
		k.Name = strings.TrimSpace(*c.Name)
	}
	if c.ExpiresAt != nil {
		k.Expires = time.Time{}
		if *c.ExpiresAt != 0 {
			k.Expires = time.Unix(*c.ExpiresAt, 0).UTC()
			if !k.Expires.After(now) {
				return agent.ParamError(agent.InvalidValue, "expires_at", "The time is over already. Revoke the key to end it now; 0 is never.")
			}
		}
	}
	if c.Limits != nil {
		k.Limits = *c.Limits
	}
	return nil
}

// maxBody is the largest body, in bytes.
const maxBody = 64 << 10

// decode reads the body into v, strictly: a limit whose name is misspelt must not become no limit. Errors are *agent.Error.
func decode(r *http.Request, v any) error {
	// httpd's bound is for prompts; what is asked here is short.
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	var told *agent.Error
	switch {
	case err == nil && d.More():
		return agent.Errorf(agent.InvalidJSON, "The request body is more than one JSON object.")
	case err == nil:
		return nil
	case errors.As(err, &told):
		return told
	case errors.As(err, &wrong):
		return agent.ParamError(agent.InvalidType, wrong.Field, "'%s' has the wrong type: a %s is no %s.", wrong.Field, wrong.Value, wrong.Type)
	}
	// The package has no type for this error.
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		name = strings.Trim(name, `"`)
		return agent.ParamError(agent.InvalidValue, name, "There is no field '%s'. GET /openapi.json has the names.", name)
	}
	return &agent.Error{Code: agent.InvalidJSON, Err: err, Message: "The request body is not a JSON object of at most 64 KB."}
}

// encode answers with v as JSON.
func encode(w http.ResponseWriter, v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, doc)
}
