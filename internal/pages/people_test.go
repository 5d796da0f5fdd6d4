package pages_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/pages"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/watch"
)

// A person is a browser with its cookies.
type person struct {
	t       *testing.T
	server  http.Handler
	cookies map[string]string
}

func (p *person) post(path, fields string, headers ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	cookies := ""
	for name, value := range p.cookies {
		cookies += name + "=" + value + "; "
	}
	w := post(p.t, p.server, path, fields, append(headers, "Cookie", cookies)...)
	for _, c := range w.Result().Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
			p.t.Errorf("%s sets %s", path, c)
		}
		p.cookies[c.Name] = c.Value
	}
	return w
}

func (p *person) get(path string) *httptest.ResponseRecorder {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), "GET", path, nil)
	r.Host = "gw.test:8787"
	r.Header.Set("Accept", "text/html")
	for name, value := range p.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	p.server.ServeHTTP(w, r)
	return w
}

// send sends a form with the session's token, which stands on the page.
func (p *person) send(path, fields string, headers ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	form := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(p.get("/keys").Body.String() + p.get("/usage").Body.String())
	if form != nil {
		fields += "&form=" + url.QueryEscape(form[1])
	}
	return p.post(path, fields, headers...)
}

// A house is a server with hosted keys. Each Cursor key is a person of its own.
type house struct {
	http.Handler
	site     *pages.Site
	store    store.Store
	now      time.Time
	draining bool
}

func newHouse(t *testing.T, changes ...func(*pages.Config)) *house {
	t.Helper()
	h := &house{now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return h.now }
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: sqlstore.Memory(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h.store = db
	people := newPeople(t, db, now, hosted.Open)
	h.site, h.Handler = newSite(t, append([]func(*pages.Config){func(c *pages.Config) {
		c.HostedKeys, c.Accounts, c.Store, c.Now = true, people, db, now
		c.SignUps = hosted.NewLimiter(db, "sign-up", 100, time.Hour, now)
		c.OperatorTries = hosted.NewLimiter(db, "operator's token", 10, 15*time.Minute, now)
		c.Caller = func(ctx context.Context, key string) (agent.Caller, error) {
			if strings.HasPrefix(key, keys.Prefix) {
				return people.Resolve(ctx, key)
			}
			return agent.Caller{CursorKey: agent.NewSecret(key)}, nil
		}
		c.LocalOnly, c.Draining, c.Drain = true, func() bool { return h.draining }, func() { h.draining = true }
		c.Limits = []pages.Figure{{Name: "Turns at once", Value: "no limit", Setting: "COMPOSER_MAX_REQUESTS"}, {Name: "A key, each day", Value: "$5", OfKey: true}}
		c.Failures = func() []watch.Failure {
			return []watch.Failure{{Ended: h.now, Endpoint: "GET /recent", Code: agent.UpstreamTimeout, RequestID: `<script>alert(2)</script>`}}
		}
		c.Live = func() []pages.Figure { return []pages.Figure{{Name: "Turns under way", Value: "3"}} }
	}}, changes...)...)
	return h
}

// newPeople is a service that knows each Cursor key as a person of its own.
func newPeople(t *testing.T, db store.Store, now func() time.Time, entry hosted.Entry) *hosted.Service {
	t.Helper()
	ring, err := seal.Parse("correct horse battery staple", "")
	if err != nil {
		t.Fatal(err)
	}
	return hosted.New(hosted.Config{Store: db, Ring: ring, Now: now, Entry: entry, Verify: func(_ context.Context, key agent.Secret) (hosted.Person, error) {
		if !strings.HasPrefix(key.Reveal(), "crsr_") {
			return hosted.Person{}, &agent.Error{Code: agent.InvalidKey}
		}
		return hosted.Person{UserID: key.Reveal(), Email: key.Reveal()[5:] + "<b>@example.com", FirstName: `"><script>alert(1)</script>`}, nil
	}})
}

func (h *house) person(t *testing.T) *person {
	return &person{t: t, server: h, cookies: map[string]string{}}
}

var (
	token = regexp.MustCompile(`cmp_[A-Za-z0-9_-]{43}`)
	keyID = regexp.MustCompile(`key_[0-9a-f]{16}`)
)

func TestFromSignUpToTheEndOfTheAccount(t *testing.T) {
	h := newHouse(t)
	ada := h.person(t)
	w := ada.send("/keys/signup", "key=crsr_ada")
	first := token.FindString(w.Body.String())
	if w.Code != 200 || first == "" || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "crsr_ada") {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	page := ada.get("/keys").Body.String()
	if !strings.Contains(page, "A key, each day") || strings.Contains(page, "Turns at once") {
		t.Error("the page does not say the limits of a key, or says others")
	}
	if strings.Contains(page, first) || !strings.Contains(page, "ada&lt;b&gt;@example.com") || strings.Contains(page, "<script>alert") {
		t.Errorf("the page says %s", page)
	}
	id := keyID.FindString(page)

	h.now = h.now.Add(time.Second) // keys are listed newest first
	w = ada.send("/keys/rotate", "id="+id)
	second := token.FindString(w.Body.String())
	if w.Code != 200 || second == "" || second == first {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w = ada.send("/keys/rotate", "id="+id); w.Code != 400 {
		t.Errorf("a revoked key is rotated: %d", w.Code)
	}
	h.now = h.now.Add(time.Second)
	// One more, with a name and, from the operator, limits.
	w = ada.send("/keys/create", "name=%3Cb%3Elaptop")
	third := token.FindString(w.Body.String())
	if w.Code != 200 || third == "" || third == second {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	named := keyID.FindString(ada.get("/keys").Body.String())
	if key, _, err := h.store.Key(t.Context(), named); err != nil || key.Name != "<b>laptop" {
		t.Errorf("%+v %v", key, err)
	}
	if err := h.store.ChangeKey(t.Context(), store.Key{ID: named, Name: "<b>laptop", Expires: h.now, Limits: store.KeyLimits{NoFast: true, USDPerDay: 5}}); err != nil {
		t.Fatal(err)
	}
	if page := ada.get("/keys").Body.String(); !strings.Contains(page, "&lt;b&gt;laptop") || !strings.Contains(page, "not fast; $5 a day; until 2026-11-30 12:00:02Z") || !strings.Contains(page, "ended 2026-11-30") {
		t.Errorf("the page says %s", page)
	}
	if w = ada.send("/keys/create", "name="+strings.Repeat("a", 101)); w.Code != 400 || !strings.Contains(w.Body.String(), "too long") {
		t.Errorf("a long name: %d", w.Code)
	}
	if w = ada.post("/keys/create", "name=x"); w.Code != 403 {
		t.Errorf("without a token: %d", w.Code)
	}
	ada.send("/keys/revoke", "id="+named)
	good := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(ada.get("/keys").Body.String())[1]
	if w = ada.send("/keys/revoke", "id="+good); w.Code != 303 || w.Header().Get("Location") != "/keys" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if page := ada.get("/keys").Body.String(); strings.Contains(page, "Rotate</button>") {
		t.Errorf("a good key is left: %s", page)
	}

	if w = ada.send("/keys/delete", "sure=perhaps"); w.Code != 400 || !strings.Contains(w.Body.String(), "Nothing is deleted") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w = ada.send("/keys/delete", "sure=delete"); w.Code != 200 || !strings.Contains(w.Body.String(), "Your account is deleted") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if all, err := h.store.ListAccounts(t.Context(), "", 10); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
	if w = h.person(t).send("/keys/login", "key=crsr_ada"); w.Code != 404 || !strings.Contains(w.Body.String(), "Nobody has signed up") {
		t.Errorf("%d", w.Code)
	}
}

func TestLoggingInMakesNoKeyAndLoggingOutEndsTheSession(t *testing.T) {
	h := newHouse(t)
	h.person(t).send("/keys/signup", "key=crsr_ada")
	ada := h.person(t)
	if w := ada.send("/keys/login", "key=crsr_ada"); w.Code != 303 || token.MatchString(w.Body.String()) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if ids := keyID.FindAllString(ada.get("/keys").Body.String(), 1); len(ids) != 1 {
		t.Errorf("keys: %v", ids)
	}
	stolen := h.person(t)
	stolen.cookies["composer_account"] = ada.cookies["composer_account"]
	if w := ada.send("/keys/logout", ""); w.Code != 303 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if page := stolen.get("/keys").Body.String(); !strings.Contains(page, "I have an account") {
		t.Error("a copied cookie outlives the session")
	}
	ada.send("/keys/login", "key=crsr_ada")
	h.now = h.now.Add(session.Age)
	if page := ada.get("/keys").Body.String(); !strings.Contains(page, "I have an account") {
		t.Error("a session never ends")
	}
}

// TestASessionIsNeverTakenOver: fixation. What a browser brings before it logs in is not what it has afterwards.
func TestASessionIsNeverTakenOver(t *testing.T) {
	h := newHouse(t)
	mallory := h.person(t)
	mallory.send("/keys/signup", "key=crsr_mallory")
	planted := mallory.cookies["composer_account"]
	ada := h.person(t)
	ada.cookies["composer_account"] = planted
	ada.send("/keys/signup", "key=crsr_ada")
	if ada.cookies["composer_account"] == planted {
		t.Fatal("the planted session is kept")
	}
	if page := mallory.get("/keys").Body.String(); !strings.Contains(page, "I have an account") {
		t.Error("the planted session is still good")
	}
	for _, cookie := range []string{"", "x", "a.b", planted, strings.Replace(ada.cookies["composer_account"], ".", ".A", 1), strings.Repeat("a", 600)} {
		other := h.person(t)
		other.cookies["composer_account"] = cookie
		if page := other.get("/keys").Body.String(); !strings.Contains(page, "I have an account") {
			t.Errorf("%q is a session", cookie)
		}
	}
}

func TestNobodyChangesWhatIsNotTheirs(t *testing.T) {
	h := newHouse(t)
	ada, mallory := h.person(t), h.person(t)
	ada.send("/keys/signup", "key=crsr_ada")
	mallory.send("/keys/signup", "key=crsr_mallory")
	id := keyID.FindString(ada.get("/keys").Body.String())
	for _, path := range []string{"/keys/revoke", "/keys/rotate"} {
		if w := mallory.send(path, "id="+id); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
		// Forgery: without the token, with somebody else's, and from another site.
		if w := ada.post(path, "id="+id); w.Code != 403 {
			t.Errorf("%s without a token: %d", path, w.Code)
		}
		if w := ada.post(path, "id="+id+"&form=AAAA"); w.Code != 403 {
			t.Errorf("%s with another token: %d", path, w.Code)
		}
		if w := ada.send(path, "id="+id, "Origin", "https://evil.example"); w.Code != 403 {
			t.Errorf("%s from another site: %d", path, w.Code)
		}
		if w := h.person(t).send(path, "id="+id); w.Code != 403 {
			t.Errorf("%s without a session: %d", path, w.Code)
		}
	}
	if key, _, err := h.store.Key(t.Context(), id); err != nil || !key.Revoked.IsZero() {
		t.Errorf("%+v %v", key, err)
	}
}

// TestAHostedKeySeesItsUsageAndNothingMore: it may lie on a machine of somebody else.
func TestAHostedKeySeesItsUsageAndNothingMore(t *testing.T) {
	h := newHouse(t)
	ada := h.person(t)
	first := token.FindString(ada.send("/keys/signup", "key=crsr_ada").Body.String())
	firstID := keyID.FindString(ada.get("/keys").Body.String())
	h.now = h.now.Add(time.Second) // keys are listed newest first
	ada.send("/keys/signup", "key=crsr_ada")
	account := regexp.MustCompile(`acct_[0-9a-f]+`).FindString(ada.get("/keys").Body.String())
	for i, id := range append(keyID.FindAllString(ada.get("/keys").Body.String(), 1), firstID) {
		l := store.RequestLog{ID: fmt.Sprint("log_", i, id), Account: account, KeyID: id, RequestID: "=cmd", Endpoint: "POST /v1/responses", Created: h.now.Add(-time.Hour)}
		if err := h.store.BeginRequest(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		l.Model, l.Status, l.InputTokens, l.CachedTokens, l.OutputTokens, l.CostUSD, l.Duration = `<img src=x>`, 200, 1000, 250, 50, .125, 1500*time.Millisecond
		l.Timeline = store.Timeline{Backend: "sdkbridge", Resume: "parked", Connect: 40 * time.Millisecond, FirstToken: 300 * time.Millisecond, ToolWait: time.Minute, Repairs: "json"}
		if err := h.store.FinishRequest(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	robot := h.person(t)
	if w := robot.send("/usage", "key="+first); w.Code != 303 || w.Header().Get("Location") != "/usage" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	page := robot.get("/usage?days=1").Body.String()
	if !strings.Contains(page, firstID) || !strings.Contains(page, "<dd>1</dd>") || !strings.Contains(page, "25 %") || !strings.Contains(page, "$0.12") || strings.Contains(page, "<img src=x") {
		t.Errorf("%s", page)
	}
	if page := robot.get("/keys").Body.String(); !strings.Contains(page, "I have an account") {
		t.Error("a hosted key opens the account")
	}
	if w := robot.send("/keys/revoke", "id="+firstID); w.Code != 403 {
		t.Errorf("a hosted key revokes: %d", w.Code)
	}
	if w := robot.send("/keys/create", "name=mine"); w.Code != 403 {
		t.Errorf("a hosted key makes keys: %d", w.Code)
	}
	if w := robot.send("/keys/delete", "sure=delete"); w.Code != 403 {
		t.Errorf("a hosted key deletes: %d", w.Code)
	}
	// Its turns one by one, and nobody else's.
	logs := regexp.MustCompile(`/usage/turns/(log_[^"]+)`)
	own := logs.FindStringSubmatch(robot.get("/usage").Body.String())
	if own == nil {
		t.Fatal("no turn is linked")
	}
	if w := robot.get(own[0]); w.Code != 200 || !strings.Contains(w.Body.String(), "connect 40 ms, wait 260 ms, answer 1.2 s") ||
		!strings.Contains(w.Body.String(), "the run that had waited for these tool results") || !strings.Contains(w.Body.String(), "not the JSON that was asked for") || strings.Contains(w.Body.String(), "<img src=x") {
		t.Errorf("a turn: %d %s", w.Code, w.Body)
	}
	for _, found := range logs.FindAllStringSubmatch(ada.get("/usage").Body.String(), -1) {
		if w := robot.get(found[0]); (w.Code == 200) != (found[1] == own[1]) {
			t.Errorf("the turn %s of %s: %d", found[1], firstID, w.Code)
		}
		if w := h.person(t).get(found[0]); w.Code != 403 {
			t.Errorf("nobody sees a turn: %d", w.Code)
		}
	}
	rows, err := csv.NewReader(robot.get("/usage.csv").Body).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][13] != "'=cmd" || rows[1][1] != firstID {
		t.Errorf("%v %v", rows, err)
	}
	if page := ada.get("/usage").Body.String(); !strings.Contains(page, "<dd>2</dd>") {
		t.Errorf("the account: %s", page)
	}
	// It has ended since: the API refuses it, and so does the page.
	ended := store.Key{ID: firstID, Expires: h.now.Add(time.Minute)}
	if err := h.store.ChangeKey(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	if w := robot.get("/usage"); w.Code != 200 {
		t.Errorf("a key that will expire: %d", w.Code)
	}
	h.now = ended.Expires
	for _, path := range []string{"/usage", "/usage.csv", own[0]} {
		if w := robot.get(path); w.Code != 403 || !strings.Contains(w.Body.String(), "expired") {
			t.Errorf("a key that has expired sees %s: %d", path, w.Code)
		}
	}
	ada.send("/keys/revoke", "id="+firstID)
	if w := robot.get("/usage"); w.Code != 403 {
		t.Errorf("a revoked key sees its usage: %d", w.Code)
	}
	if w := h.person(t).get("/usage.csv"); w.Code != 403 {
		t.Errorf("nobody gets the file: %d", w.Code)
	}
}

func TestPagesOfHostedKeysSayWhenTheyAreOff(t *testing.T) {
	server := newServer(t)
	for _, path := range []string{"/keys", "/usage"} {
		if w := browse(t, server, path); w.Code != 200 || !strings.Contains(w.Body.String(), "Hosted keys are off") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
