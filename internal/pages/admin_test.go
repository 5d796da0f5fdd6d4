package pages_test

import (
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/forwarded"
	"composer-api/internal/pages"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
)

// command sends a form of the operator's page.
func (p *person) command(path, fields string, headers ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	form := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(p.get("/admin").Body.String())
	if form != nil {
		fields += "&form=" + url.QueryEscape(form[1])
	}
	return p.post(path, fields, headers...)
}

func TestTheOperatorLogsInAndOut(t *testing.T) {
	h := newHouse(t)
	ada := h.person(t)
	ada.send("/keys/signup", "key=crsr_ada")
	id := keyID.FindString(ada.get("/keys").Body.String())
	account := regexp.MustCompile(`acct_[0-9a-f]+`).FindString(ada.get("/keys").Body.String())
	l := store.RequestLog{ID: "log_1", Account: account, KeyID: id, RequestID: "req_1", Endpoint: "POST /v1/responses", Created: h.now}
	if err := h.store.BeginRequest(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	l.Status, l.ErrorCode, l.Model = 502, agent.Upstream.String(), "<script>alert(1)</script>"
	if err := h.store.FinishRequest(t.Context(), l); err != nil {
		t.Fatal(err)
	}

	operator := h.person(t)
	if page := operator.get("/admin").Body.String(); !strings.Contains(page, "composer-api admin token") {
		t.Errorf("without a token: %s", page)
	}
	token, err := session.MintToken(t.Context(), h.store, h.now)
	if err != nil {
		t.Fatal(err)
	}
	if w := operator.command("/admin/login", "token=cmpadmin_wrong"); w.Code != 403 || !strings.Contains(w.Body.String(), "not the operator&#39;s token") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := operator.command("/admin/login", "token="+token.Reveal()); w.Code != 303 || w.Header().Get("Location") != "/admin" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	page := operator.get("/admin").Body.String()
	for _, want := range []string{"Turns at once", "COMPOSER_MAX_REQUESTS", "GET /recent", "504 upstream_timeout"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if !strings.Contains(page, "Turns under way") || !strings.Contains(page, id) || !strings.Contains(page, "502 upstream") || strings.Contains(page, "<script>alert") || strings.Contains(page, token.Reveal()) {
		t.Errorf("%s", page)
	}
	if w := operator.command("/admin/revoke", "id="+id); w.Code != 303 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if acts, err := h.store.ListAudits(t.Context(), 10); err != nil || len(acts) != 1 || acts[0].Action != "revoke key" || acts[0].Subject != id {
		t.Errorf("what the operator did is listed as %v, %v", acts, err)
	}
	if key, _, err := h.store.Key(t.Context(), id); err != nil || key.Revoked.IsZero() {
		t.Errorf("%+v %v", key, err)
	}
	if w := operator.command("/admin/drain", ""); w.Code != 303 || !h.draining {
		t.Errorf("%d, draining %t", w.Code, h.draining)
	}
	stolen := h.person(t)
	stolen.cookies["composer_operator"] = operator.cookies["composer_operator"]
	operator.command("/admin/logout", "")
	if page := stolen.get("/admin").Body.String(); strings.Contains(page, id) {
		t.Error("a copied cookie outlives the session")
	}
}

// A session for one page opens no other: the cookies have names of their own, and what they hold is bound to its owner.
func TestAnAccountIsNoOperator(t *testing.T) {
	h := newHouse(t)
	ada := h.person(t)
	ada.send("/keys/signup", "key=crsr_ada")
	ada.cookies["composer_operator"] = ada.cookies["composer_account"]
	if page := ada.get("/admin").Body.String(); strings.Contains(page, "Turns under way") {
		t.Error("an account sees the operator's page")
	}
	if w := ada.send("/admin/drain", ""); w.Code != 403 || h.draining {
		t.Errorf("%d, draining %t", w.Code, h.draining)
	}
	token, err := session.MintToken(t.Context(), h.store, h.now)
	if err != nil {
		t.Fatal(err)
	}
	operator := h.person(t)
	operator.command("/admin/login", "token="+token.Reveal())
	operator.cookies["composer_account"] = operator.cookies["composer_operator"]
	if w := operator.get("/usage"); !strings.Contains(w.Body.String(), "A key of this server") {
		t.Errorf("the operator sees an account's usage: %d", w.Code)
	}
	for _, headers := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}} {
		if w := operator.command("/admin/drain", "", headers...); w.Code != 403 || h.draining {
			t.Errorf("%v: %d, draining %t", headers, w.Code, h.draining)
		}
	}
	if w := operator.post("/admin/drain", ""); w.Code != 403 || h.draining {
		t.Errorf("without a token: %d, draining %t", w.Code, h.draining)
	}
}

func TestTheTokenCanNotBeTriedForLong(t *testing.T) {
	h := newHouse(t)
	token, err := session.MintToken(t.Context(), h.store, h.now)
	if err != nil {
		t.Fatal(err)
	}
	mallory := h.person(t)
	for i := range 12 {
		w := mallory.command("/admin/login", "token=cmpadmin_wrong")
		if want := map[bool]int{true: 403, false: 429}[i < 10]; w.Code != want {
			t.Errorf("attempt %d: %d, want %d", i+1, w.Code, want)
		}
	}
	if w := mallory.command("/admin/login", "token="+token.Reveal()); w.Code != 429 {
		t.Errorf("the right one after too many: %d", w.Code)
	}
	h.now = h.now.Add(15 * time.Minute)
	if w := mallory.command("/admin/login", "token="+token.Reveal()); w.Code != 303 {
		t.Errorf("later: %d", w.Code)
	}
}

// Without TLS a token could be read on its way, so there the page is off.
func TestTheOperatorsPageNeedsTLSBeyondThisMachine(t *testing.T) {
	h := newHouse(t, func(c *pages.Config) {
		c.LocalOnly = false
		c.Hops = forwarded.NewReader([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, nil, nil) // where httptest comes from
	})
	for proto, want := range map[string]int{"": 403, "http": 403, "https": 200} {
		r := httptest.NewRequest("GET", "/admin", nil)
		r.Header.Set("Accept", "text/html")
		if proto != "" {
			r.Header.Set("X-Forwarded-Proto", proto)
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%q: %d, want %d", proto, w.Code, want)
		}
	}
	if w := h.person(t).post("/admin/login", "token=x"); w.Code != 403 || !strings.Contains(w.Body.String(), "has no TLS") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// Over TLS a cookie never goes out without.
	token, err := session.MintToken(t.Context(), h.store, h.now)
	if err != nil {
		t.Fatal(err)
	}
	w := h.person(t).post("/admin/login", "token="+token.Reveal(), "X-Forwarded-Proto", "https", "Origin", "https://gw.test:8787", "Sec-Fetch-Site", "same-origin")
	if cookies := w.Result().Cookies(); w.Code != 303 || len(cookies) != 1 || !cookies[0].Secure {
		t.Errorf("%d %v", w.Code, cookies)
	}
}
