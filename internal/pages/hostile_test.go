package pages_test

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"composer-api/internal/api/forwarded"
	"composer-api/internal/pages"
	"composer-api/internal/pages/session"
)

// What other sites, and people with odd requests, try against all pages at once. What they try against one page is tested
// with it; in a real browser, conformance/browser tries frames, forms and markup.

// openPages are pages that everybody may load.
var openPages = []string{"/", "/chat", "/docs", "/docs/clients", "/keys", "/usage", "/admin", "/nothing"}

// Forgery: whoever is logged in, no form that another site sends changes anything.
func TestNoFormOfAnotherSiteIsTaken(t *testing.T) {
	h := newHouse(t)
	ada, operator := h.person(t), h.person(t)
	ada.send("/keys/signup", "key=crsr_ada")
	token, err := session.MintToken(t.Context(), h.store, h.now)
	if err != nil {
		t.Fatal(err)
	}
	operator.command("/admin/login", "token="+token.Reveal())
	id := keyID.FindString(ada.get("/keys").Body.String())
	tried := 0
	for _, route := range h.site.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if route.Form != (method == "POST") {
			t.Errorf("%s changes something and takes no form, or the other way round", route.Pattern)
		}
		if !route.Form {
			continue
		}
		for _, headers := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://gw.test:8787", "Sec-Fetch-Site", "cross-site"}, {"Origin", "http://gw.test:9999", "Sec-Fetch-Site", "same-site"}} {
			tried++
			// With everything but the origin in order: the session's cookie and its form.
			who := ada
			send := ada.send
			if strings.HasPrefix(path, "/admin") {
				who, send = operator, operator.command
			}
			before := who.cookies
			if w := send(path, "id="+id+"&sure=delete&name=x&key=crsr_mallory&token=x", headers...); w.Code != 403 || len(w.Result().Cookies()) > 0 {
				t.Errorf("%s %v: %d %v", path, headers, w.Code, w.Result().Cookies())
			}
			who.cookies = before
		}
	}
	if tried < 40 {
		t.Errorf("only %d forms were tried", tried)
	}
	key, _, err := h.store.Key(t.Context(), id)
	if all, _ := h.store.ListKeys(t.Context(), ""); err != nil || !key.Revoked.IsZero() || len(all) != 1 || h.draining {
		t.Errorf("%+v %v, %d keys, draining %t", key, err, len(all), h.draining)
	}
}

// Clickjacking, and everything else that headers forbid: on every page, errors included.
func TestEveryPageForbidsFramesAndCodeOfOthers(t *testing.T) {
	h := newHouse(t)
	for _, path := range openPages {
		w := h.person(t).get(path)
		policy := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: no %q in %q", path, want, policy)
			}
		}
		if w.Header().Get("X-Frame-Options") != "DENY" || w.Header().Get("X-Content-Type-Options") != "nosniff" || strings.Contains(policy, "unsafe") || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, w.Header())
		}
		if body := w.Body.String(); strings.Contains(body, "<script>") || strings.Contains(body, " onclick=") || strings.Contains(body, " style=") {
			t.Errorf("%s has code or styles in its markup", path)
		}
	}
}

// Open redirect: where a form leads to is a page of ours, whatever the address, the host or a header says.
func TestNoFormLeadsToAnotherSite(t *testing.T) {
	h := newHouse(t, func(c *pages.Config) {
		c.Hops = forwarded.NewReader([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, nil, nil) // not where httptest comes from
	})
	h.person(t).send("/keys/signup", "key=crsr_ada")
	for _, query := range []string{"", "?next=https://evil.example", "?return_to=//evil.example", "?days=//evil.example"} {
		for _, headers := range [][]string{nil, {"X-Forwarded-Prefix", "//evil.example"}, {"X-Forwarded-Host", "evil.example"}, {"Referer", "https://evil.example/"}} {
			w := h.person(t).post("/keys/login"+query, "key=crsr_ada&next=https://evil.example", headers...)
			if w.Code != 303 || w.Header().Get("Location") != "/keys" {
				t.Errorf("%s %v: %d %q", query, headers, w.Code, w.Header().Get("Location"))
			}
		}
	}
	for _, path := range []string{"//evil.example", "/\\evil.example", "//evil.example/..", "/docs//evil.example", "/keys/"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://gw.test:8787/", nil)
		r.URL.Path, r.RequestURI = path, path
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if to := w.Header().Get("Location"); strings.HasPrefix(to, "//") || strings.HasPrefix(to, "/\\") || strings.Contains(to, "://") {
			t.Errorf("%s leads to %q", path, to)
		}
	}
}
