package pages

import (
	"context"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/hosted"
)

// A home is what the home page says.
//
// The page is the same for everybody but for Checked, so it needs no session.
type home struct {
	// Upstreams are the names of the ways to a model; none means that a turn would fail.
	Upstreams []string
	// Trouble is why turns would fail now; "" when all is well.
	Trouble string
	// Asking says that upstream has not answered in time for the page.
	Asking bool
	// StoreAway says that what is kept can't be reached: hosted keys and stored responses fail.
	StoreAway bool
	// HostedKeys says that there are keys of this server, Invited that a new account needs an invitation, and Closed that
	// there are no new ones.
	HostedKeys, Invited, Closed bool
	Models                      []modelRow
	// Clients are the sections of the guide that say how to set a client up.
	Clients []*section
	// Checked is what came of checking a key; nil when none was sent.
	Checked *checked
}

// A modelRow is a line of the table of models. Prices are in US dollars for a million tokens; 0 is unknown.
type modelRow struct {
	// ID is what clients send.
	ID, Name              string
	Context               int // tokens; 0 is unknown
	Input, Cached, Output float64
}

// A checked key is what is known about it. Of the key itself nothing is shown.
//
// It is made for one answer and kept nowhere.
type checked struct {
	Trouble string // why the key can't be used; the rest is empty then
	Name    string
	Email   string
	KeyName string
	Account string // of a hosted key
	Models  []modelRow
	// NoModels is why the models of the key can't be listed.
	NoModels string
}

// patience is how long the home page waits for what upstream says of itself: a page that comes late is no sign of life.
//
// The store's sign of life has to come within the same time.
const patience = 700 * time.Millisecond

// Home answers GET / for a browser.
func (s *Site) Home(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	return s.home(w, r, nil)
}

// home answers with the home page.
//
// It is 200 also when something is wrong: that is what the page is there to say. /readyz has the
// status for machines.
func (s *Site) home(w http.ResponseWriter, r *http.Request, key *checked) error {
	data := &home{
		Upstreams: s.cfg.Upstreams, HostedKeys: s.cfg.HostedKeys, Invited: s.cfg.Entry == hosted.Invitation, Closed: s.cfg.Entry == hosted.Closed, Models: modelRows(catalog.Builtin()),
		Clients: embedded().guide.chapter("clients").Sections, Checked: key,
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	// An error because the page's patience ended says nothing about upstream, so the page says that
	// it is still asking.
	if err := s.cfg.Reachable(ctx); err != nil {
		data.Asking = ctx.Err() != nil
		data.Trouble = openai.Message(agent.AsError(err))
	}
	data.StoreAway = s.cfg.PingStore(ctx) != nil
	return s.render(w, r, http.StatusOK, "home", data)
}

// checkKey answers POST /check: whose key it is, and what it may use. The key comes in the body and goes to Cursor; it is
// not in the answer.
//
// So that no proxy and no history has the key, it is a form and not an address.
func (s *Site) checkKey(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	fields, err := readForm(w, r)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return s.home(w, r, s.check(r.Context(), fields.Get("key")))
}

// check asks Cursor about a key. Whatever fails is a sentence in the result and no error: the page
// is answered in any case.
func (s *Site) check(ctx context.Context, key string) *checked {
	caller, err := s.cfg.Caller(ctx, key)
	if err != nil {
		return &checked{Trouble: openai.Message(agent.AsError(err))}
	}
	// Of a hosted key it is the Cursor key behind it that is asked about.
	who, err := s.cfg.WhoIs(ctx, caller.CursorKey)
	if err != nil {
		return &checked{Trouble: openai.Message(agent.AsError(err))}
	}
	found := &checked{Name: who.Name(), Email: who.Email, KeyName: who.KeyName, Account: caller.KeyID}
	models, err := s.cfg.Models(ctx, caller)
	if err != nil {
		found.NoModels = openai.Message(agent.AsError(err))
	}
	found.Models = modelRows(models)
	return found
}

// modelRows are models with their prices, in the order in which they came.
func modelRows(models []catalog.Model) []modelRow {
	rows := make([]modelRow, len(models))
	for i, m := range models {
		price := catalog.Price(m.Upstream)
		rows[i] = modelRow{ID: m.ID, Name: m.DisplayName, Context: m.ContextWindow, Input: price.Input, Cached: price.CacheRead, Output: price.Output}
	}
	return rows
}
