package pages_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/hosted"
	"composer-api/internal/pages"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
)

// operator is somebody who is logged in with the operator's token.
func (h *house) operator(t *testing.T) *person {
	t.Helper()
	token, err := session.MintToken(t.Context(), h.store, h.now)
	if err != nil {
		t.Fatal(err)
	}
	p := h.person(t)
	if w := p.command("/admin/login", "token="+token.Reveal()); w.Code != 303 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return p
}

// TestTheOperatorChangesWhatAKeyMay also shows that the form says what holds, that a wrong one changes nothing, and that each
// change is in the list of acts.
func TestTheOperatorChangesWhatAKeyMay(t *testing.T) {
	h := newHouse(t)
	h.person(t).send("/keys/signup", "key=crsr_ada")
	keys, err := h.store.ListKeys(t.Context(), "")
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	operator := h.operator(t)
	at := "/admin/keys/" + keys[0].ID
	if page := operator.get("/admin").Body.String(); !strings.Contains(page, `href="`+at+`"`) {
		t.Error("the page has no link to the key's limits")
	}
	if w := h.person(t).get(at); w.Code != 303 || w.Header().Get("Location") != "/admin" {
		t.Errorf("without a session: %d %v", w.Code, w.Header())
	}
	whole := "name=desk&expires=2027-01-31&api=chat&api=messages&models=" + url.QueryEscape("composer-*, gpt-5 ,") + "&nofast=on&concurrent=2&requests=60&tokens=100000&day=2.5&month="
	if w := operator.command(at, whole); w.Code != 303 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	key, _, err := h.store.Key(t.Context(), keys[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	want := store.KeyLimits{Surfaces: []string{"chat", "messages"}, Models: []string{"composer-*", "gpt-5"}, NoFast: true, Concurrent: 2, RequestsPerMinute: 60, TokensPerMinute: 100000, USDPerDay: 2.5}
	if diff := cmp.Diff(want, key.Limits); diff != "" || key.Name != "desk" || key.Expires.Format("2006-01-02 15") != "2027-02-01 00" {
		t.Errorf("%+v\n(-want +got)\n%s", key, diff)
	}
	page := operator.get(at).Body.String()
	for _, holds := range []string{`value="desk"`, `value="2027-01-31"`, `value="chat" checked`, `value="completions">`, `value="composer-*, gpt-5"`, `value="on" checked`, `name="tokens" type="number" min="0" step="1" value="100000"`, `step="any" value="2.5"`} {
		if !strings.Contains(page, holds) {
			t.Errorf("the form does not say %s", holds)
		}
	}
	for _, wrong := range []string{"requests=many", "concurrent=-1", "day=Inf", "month=NaN", "models=[", "api=images", "expires=soon", "name=" + strings.Repeat("x", 101)} {
		if w := operator.command(at, wrong); w.Code != 400 || !strings.Contains(w.Body.String(), "Nothing is changed.") {
			t.Errorf("%s: %d %s", wrong, w.Code, w.Body)
		}
	}
	if after, _, err := h.store.Key(t.Context(), key.ID); err != nil || !cmp.Equal(after, key) {
		t.Errorf("%v\n%s", err, cmp.Diff(key, after))
	}
	if w := operator.command("/admin/keys/key_9", "concurrent=1"); w.Code != 404 {
		t.Errorf("an unknown key: %d", w.Code)
	}
	if w := operator.post(at, "concurrent=1"); w.Code != 403 {
		t.Errorf("a form of no session: %d", w.Code)
	}
	account := "/admin/accounts/" + key.Account
	if w := operator.command(account, "concurrent=7"); w.Code != 303 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if a, err := h.store.Account(t.Context(), key.Account); err != nil || a.Limits.Concurrent != 7 {
		t.Errorf("%+v, %v", a, err)
	}
	if page := operator.get(account).Body.String(); !strings.Contains(page, `name="concurrent" type="number" min="0" step="1" value="7"`) {
		t.Error("the form of the account does not say what holds")
	}
	acts, err := h.store.ListAudits(t.Context(), 10)
	if err != nil || len(acts) != 2 {
		t.Errorf("%v, %v", acts, err)
	}
}

// An invitation is shown once, lets somebody in, and is used up then.
func TestSigningUpByInvitation(t *testing.T) {
	h := newHouse(t, func(c *pages.Config) {
		c.Entry = hosted.Invitation
		c.Accounts = newPeople(t, c.Store.(store.Store), c.Now, hosted.Invitation)
	})
	operator := h.operator(t)
	w := operator.command("/admin/invite", "note=for+Ada&uses=1&days=7")
	text := regexp.MustCompile(`cmpinvite_[A-Za-z0-9_-]+`).FindString(w.Body.String())
	if w.Code != 200 || text == "" || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(operator.get("/admin").Body.String(), text) {
		t.Fatalf("%d %q", w.Code, text)
	}
	if w := operator.command("/admin/invite", "uses=many&days=7"); w.Code != 400 || !strings.Contains(w.Body.String(), "No invitation is made") {
		t.Errorf("%d", w.Code)
	}
	if w := operator.command("/admin/invite", "uses=0&days=7"); w.Code != 400 || !strings.Contains(w.Body.String(), "for 1 to 100000 accounts") {
		t.Errorf("%d", w.Code)
	}
	ada := h.person(t)
	if page := ada.get("/keys").Body.String(); !strings.Contains(page, "New accounts need an invitation") || !strings.Contains(page, `name="invitation"`) {
		t.Error("the page does not say that an invitation is needed")
	}
	if page := browse(t, h, "/").Body.String(); !strings.Contains(page, "by invitation") {
		t.Error("nor does the home page")
	}
	if w := ada.send("/keys/signup", "key=crsr_ada"); w.Code != 403 || !strings.Contains(w.Body.String(), "by invitation only") {
		t.Errorf("without an invitation: %d %s", w.Code, w.Body)
	}
	if w := ada.send("/keys/signup", "key=crsr_ada&invitation="+text); w.Code != 200 || token.FindString(w.Body.String()) == "" {
		t.Errorf("with it: %d %s", w.Code, w.Body)
	}
	if w := h.person(t).send("/keys/signup", "key=crsr_eve&invitation="+text); w.Code != 403 || !strings.Contains(w.Body.String(), "used up") {
		t.Errorf("with one that is used up: %d %s", w.Code, w.Body)
	}
	w = operator.command("/admin/invite", "uses=5&days=1")
	second := regexp.MustCompile(`cmpinvite_[A-Za-z0-9_-]+`).FindString(w.Body.String())
	id := regexp.MustCompile(`name="id" value="(inv_[A-Za-z0-9]+)"`).FindStringSubmatch(operator.get("/admin").Body.String())
	if id == nil {
		t.Fatal("the page lists no good invitation")
	}
	if w := operator.command("/admin/uninvite", "id="+id[1]); w.Code != 303 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := h.person(t).send("/keys/signup", "key=crsr_eve&invitation="+second); w.Code != 403 {
		t.Errorf("with one that is revoked: %d %s", w.Code, w.Body)
	}
}

func TestAServerThatTakesNoNewAccountsSaysSo(t *testing.T) {
	h := newHouse(t, func(c *pages.Config) { c.Entry = hosted.Closed })
	page := h.person(t).get("/keys").Body.String()
	if !strings.Contains(page, "takes no new accounts") || strings.Contains(page, `name="invitation"`) {
		t.Errorf("%s", page)
	}
	if page := browse(t, h, "/").Body.String(); !strings.Contains(page, "there are no new ones") {
		t.Error("the home page does not say so")
	}
}
