package pages

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/hosted"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
)

// The operator's form of what a key may, or an account with all of its keys:
//
//	GET  /admin/keys/{id}, /admin/accounts/{id}    the form, filled in with what holds
//	POST /admin/keys/{id}, /admin/accounts/{id}    what it says holds from the next request on
//
// What is left empty is no limit. A field that can't be read changes nothing.

// A limitation is what the page says of one key or account. Numbers are texts, so that a wrong one can be shown again.
type limitation struct {
	Trouble string
	Form    string // of the session
	Here    string // the path of the page, below Root
	ID      string
	Hint    string
	Account string // whose key it is; "" for an account
	Email   string // of an account
	Name    string // of a key
	Expires string // of a key: a day, "" for none
	Limits  store.KeyLimits
	APIs    []choice
	// Fields are the limits that are numbers.
	Fields []number
}

// A choice is a box that may be ticked.
type choice struct {
	Name string
	On   bool
}

// A number is a field for one.
type number struct{ Name, Label, Value, Step string }

// A limitNumber is a limit that is a number: the name of its field, what people read, and its place in the limits, of which one
// is nil.
type limitNumber struct {
	// name is the field's in the form.
	name, label string
	// Both point into the limits, so that reading a form and showing one go through the same list.
	whole   *int64
	dollars *float64
}

// limitNumbers are those of l. They are read and shown by this one list, so that the two can't disagree.
func limitNumbers(l *store.KeyLimits) []limitNumber {
	return []limitNumber{
		{"concurrent", "Requests at once", &l.Concurrent, nil},
		{"requests", "Requests a minute", &l.RequestsPerMinute, nil},
		{"tokens", "Tokens a minute", &l.TokensPerMinute, nil},
		{"day", "US dollars a day (UTC)", nil, &l.USDPerDay},
		{"month", "US dollars a calendar month (UTC)", nil, &l.USDPerMonth},
	}
}

// showKeyLimits answers GET /admin/keys/{id}.
func (s *Site) showKeyLimits(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	return s.limitsPage(w, r, http.StatusOK, s.keyLimitation, "")
}

// showAccountLimits answers GET /admin/accounts/{id}.
func (s *Site) showAccountLimits(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	return s.limitsPage(w, r, http.StatusOK, s.accountLimitation, "")
}

// limitsPage answers with the page; who is not logged in is sent to the log-in. of reads what the page is about; its errors
// are the store's.
func (s *Site) limitsPage(w http.ResponseWriter, r *http.Request, status int, of func(*http.Request) (*limitation, error), trouble string) error {
	if err := s.operatorMay(r); err != nil {
		return err
	}
	who, err := s.loggedIn(r, operatorCookie)
	if err != nil {
		return err
	}
	// The log-in is on the operator's first page.
	if who == nil {
		return s.seeOther(w, r, "/admin")
	}
	data, err := of(r)
	if err != nil {
		return operatorError(err)
	}
	for _, surface := range agent.Surfaces {
		data.APIs = append(data.APIs, choice{surface, slices.Contains(data.Limits.Surfaces, surface)})
	}
	for _, n := range limitNumbers(&data.Limits) {
		// A limit of 0 is shown as an empty field: there is no limit.
		field := number{Name: n.name, Label: n.label, Step: "1"}
		switch {
		case n.whole != nil && *n.whole > 0:
			field.Value = strconv.FormatInt(*n.whole, 10)
		case n.dollars != nil:
			if field.Step = "any"; *n.dollars > 0 {
				field.Value = strconv.FormatFloat(*n.dollars, 'f', -1, 64)
			}
		}
		data.Fields = append(data.Fields, field)
	}
	data.Trouble, data.Form, data.Here = trouble, who.Form, r.URL.Path
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, status, "limits", data)
}

// keyLimitation is the key that the path names.
func (s *Site) keyLimitation(r *http.Request) (*limitation, error) {
	key, _, err := s.cfg.Store.Key(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	data := &limitation{ID: key.ID, Hint: key.Hint, Account: key.Account, Name: key.Name, Limits: key.Limits}
	if !key.Expires.IsZero() {
		data.Expires = lastDay(key.Expires)
	}
	return data, nil
}

// accountLimitation is the account that the path names.
func (s *Site) accountLimitation(r *http.Request) (*limitation, error) {
	account, err := s.cfg.Store.Account(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return &limitation{ID: account.ID, Hint: account.KeyHint, Email: account.Email, Limits: account.Limits}, nil
}

// limitKey answers POST /admin/keys/{id}.
func (s *Site) limitKey(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	_, fields, err := s.command(w, r)
	if err != nil {
		return err
	}
	_, err = s.cfg.Accounts.Operator(actor).ChangeKey(r.Context(), r.PathValue("id"), func(k *store.Key) error {
		if len(fields.Get("name")) > hosted.MaxKeyName {
			return agent.Errorf(agent.InvalidValue, "The name is too long: %d bytes are allowed.", hosted.MaxKeyName)
		}
		expires, err := readDay(fields.Get("expires"), k.Expires)
		if err != nil {
			return err
		}
		k.Name, k.Expires = strings.TrimSpace(fields.Get("name")), expires
		return readLimits(fields, &k.Limits)
	})
	return s.limited(w, r, s.keyLimitation, err)
}

// limitAccount answers POST /admin/accounts/{id}.
func (s *Site) limitAccount(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	_, fields, err := s.command(w, r)
	if err != nil {
		return err
	}
	_, err = s.cfg.Accounts.Operator(actor).LimitAccount(r.Context(), r.PathValue("id"), func(l *store.KeyLimits) error { return readLimits(fields, l) })
	return s.limited(w, r, s.accountLimitation, err)
}

// limited answers after a change: the operator's page, or the form with what is wrong.
func (s *Site) limited(w http.ResponseWriter, r *http.Request, of func(*http.Request) (*limitation, error), err error) error {
	var refused *agent.Error
	switch {
	case err == nil:
		return s.seeOther(w, r, "/admin")
	case errors.As(err, &refused):
		status, trouble := refusal(w, err)
		return s.limitsPage(w, r, status, of, "Nothing is changed. "+trouble)
	case errors.Is(err, store.ErrNotFound):
		return operatorError(err)
	}
	return session.Away(err)
}

// lastDay is the last day on which a key is good that expires at a time, as 'keys limit --expires' takes it.
func lastDay(expires time.Time) string {
	return expires.Add(-time.Millisecond).UTC().Format(time.DateOnly)
}

// readDay reads the last day on which a key is good. The field is left as it was filled in when it still names the day of
// before, which may be any time of it.
func readDay(text string, before time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, agent.Errorf(agent.InvalidValue, "The day must be written as 2027-01-31.")
	}
	if !before.IsZero() && text == lastDay(before) {
		return before, nil
	}
	return day.AddDate(0, 0, 1), nil
}

// readLimits reads the fields of the form. Errors are *agent.Error.
func readLimits(fields url.Values, l *store.KeyLimits) error {
	// A form sends all of its fields, so what isn't in it is no limit, and nothing of *l is kept.
	read := store.KeyLimits{Surfaces: fields["api"], NoFast: fields.Get("nofast") != ""}
	for _, m := range strings.Split(fields.Get("models"), ",") {
		if m = strings.TrimSpace(m); m != "" {
			read.Models = append(read.Models, m)
		}
	}
	for _, n := range limitNumbers(&read) {
		text := strings.TrimSpace(fields.Get(n.name))
		if text == "" {
			continue
		}
		var err error
		if n.whole != nil {
			*n.whole, err = strconv.ParseInt(text, 10, 64)
		} else if *n.dollars, err = strconv.ParseFloat(text, 64); err == nil && math.IsInf(*n.dollars, 0) {
			err = strconv.ErrRange
		}
		if err != nil {
			return agent.Errorf(agent.InvalidValue, "%s: write a number, or nothing for no limit.", n.label)
		}
	}
	if err := hosted.CheckLimits(&read); err != nil {
		return err
	}
	*l = read
	return nil
}
