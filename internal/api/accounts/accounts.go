// Package accounts is the HTTP side of the hosted-key flow and of the waiting list:
//
//	POST /api/signup        {cursorApiKey, invitation?, name?, email?, joinWaitlist?} → a hosted key
//	POST /api/early-access  {name, email} → a place on the waiting list
//
// Anybody may call both, so both are limited for each client address. Requests and answers have the names of the
// reference system; errors have OpenAI's shape like everywhere else.
//
// Packages hosted and waitlist do the work. Here is how often an
// address may ask (routes.go), what a body may hold, and which URLs a client is told.
package accounts

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/waitlist"
)

// signUpRequest is the body of POST /api/signup.
type signUpRequest struct {
	// The names are the reference system's, whose clients this route serves.
	CursorAPIKey string `json:"cursorApiKey"`
	Name         string `json:"name"`  // for the waiting list
	Email        string `json:"email"` // for the waiting list
	JoinWaitlist bool   `json:"joinWaitlist"`
	Invitation   string `json:"invitation"` // where new accounts need one
}

// signUpAnswer is the answer. APIKey is shown here once and never again.
type signUpAnswer struct {
	Account   accountAnswer   `json:"account"`
	APIKey    string          `json:"apiKey"`
	Endpoints endpoints       `json:"endpoints"`
	Waitlist  *waitlistAnswer `json:"waitlist,omitempty"` // only if the request asked for it
}

// accountAnswer is the account as its owner may see it: the Cursor key only as a hint.
type accountAnswer struct {
	ID string `json:"id"`
	// Null for a team's key, which belongs to no single user.
	CursorEmail      *string `json:"cursorEmail"`
	CursorName       *string `json:"cursorName"`
	CursorAPIKeyHint string  `json:"cursorApiKeyHint"`
}

// endpoints are the URLs to put into a client's settings, under the name by which we were reached.
type endpoints struct {
	BaseURL string `json:"baseUrl"`
	// AccountBaseURL has the account in its path, and takes keys of this account only.
	AccountBaseURL  string `json:"accountBaseUrl"`
	ChatCompletions string `json:"chatCompletions"`
	Responses       string `json:"responses"`
}

// waitlistAnswer says what became of a place on the waiting list.
type waitlistAnswer struct {
	OK bool `json:"ok"`
	// Error is a sentence for the person, when OK is false. The sign-up itself went well all the same.
	Error string `json:"error,omitempty"`
}

// signUp answers POST /api/signup. What can be checked for free is checked before the attempt is
// counted, so that a typing error doesn't use up an attempt.
//
//  1. the body and its fields   free: nothing is counted or asked
//  2. the limiter               one attempt of this address
//  3. SignUp                    Cursor is asked whose key it is; account and key are stored
//  4. the waiting list          as well as may be: its failure is only told
func (h *handlers) signUp(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	var req signUpRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	cursorKey, err := req.check()
	if err != nil {
		return err
	}
	from := h.hops.Read(r)
	if err := h.cfg.SignUps.Allow(r.Context(), from.Client); err != nil {
		return err
	}
	up, err := h.cfg.SignUp(r.Context(), cursorKey, req.Invitation)
	if err != nil {
		return err
	}
	answer := signUpAnswer{
		Account: accountAnswer{
			ID: up.Account.ID, CursorEmail: orNull(up.Account.Email), CursorName: orNull(up.Account.Name), CursorAPIKeyHint: up.Account.KeyHint,
		},
		APIKey:    up.Key.Reveal(),
		Endpoints: endpointsAt(cmp.Or(h.cfg.PublicURL, from.Origin()), up.Account.ID),
	}
	if req.JoinWaitlist {
		answer.Waitlist = h.alsoJoin(r.Context(), waitlist.Entry{
			Name: cmp.Or(req.Name, up.Account.Name), Email: cmp.Or(req.Email, up.Account.Email),
		})
	}
	// The key is in the answer, and nowhere else.
	w.Header().Set("Cache-Control", "no-store")
	return encode(w, answer)
}

// check refuses what is obviously wrong, before anything is done or counted. A name that is missing may
// still come from Cursor, so only the address is checked.
func (req *signUpRequest) check() (cursorKey agent.Secret, err error) {
	if req.JoinWaitlist && req.Email != "" {
		if _, err := (waitlist.Entry{Name: cmp.Or(req.Name, "unknown yet"), Email: req.Email}).Clean(); err != nil {
			return agent.Secret{}, err
		}
	}
	return hosted.ParseCursorKey(req.CursorAPIKey)
}

// alsoJoin puts somebody on the waiting list who has signed up already. It has no error: their key must
// reach them even if the list can't be reached.
func (h *handlers) alsoJoin(ctx context.Context, e waitlist.Entry) *waitlistAnswer {
	if err := h.cfg.Join(ctx, e); err != nil {
		return &waitlistAnswer{Error: openai.Message(agent.AsError(err))}
	}
	return &waitlistAnswer{OK: true}
}

// endpointsAt builds the URLs for an account.
func endpointsAt(public, account string) endpoints {
	base := public + "/u/" + account + "/v1"
	return endpoints{
		BaseURL:         public + "/v1",
		AccountBaseURL:  base,
		ChatCompletions: base + "/chat/completions",
		Responses:       base + "/responses",
	}
}

// joinWaitlist answers POST /api/early-access.
func (h *handlers) joinWaitlist(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	var req struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	if err := decode(r, &req); err != nil {
		return err
	}
	entry, err := waitlist.Entry{Name: req.Name, Email: req.Email}.Clean()
	if err != nil {
		return err
	}
	if err := h.cfg.EarlyAccess.Allow(r.Context(), h.hops.Read(r).Client); err != nil {
		return err
	}
	if err := h.cfg.Join(r.Context(), entry); err != nil {
		return err
	}
	return encode(w, waitlistAnswer{OK: true})
}

// maxBody is the largest body, in bytes: far more than either request needs.
const maxBody = 64 << 10

// decode reads the body into v. Errors are *agent.Error.
func decode(r *http.Request, v any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return err
	}
	if len(body) > maxBody {
		return agent.Errorf(agent.TooLarge, "The request body is larger than %d KB. Send only the documented fields.", maxBody>>10)
	}
	return openai.Decode(body, v)
}

// encode answers with v as JSON.
func encode(w http.ResponseWriter, v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, doc)
}

// orNull is nil for "", which becomes null.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
