package pages_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/forwarded"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/hosted"
	"composer-api/internal/httpd"
	"composer-api/internal/pages"
)

// newServer serves the pages as cli does. The changes are made to a configuration in which all is well.
func newServer(t *testing.T, changes ...func(*pages.Config)) http.Handler {
	t.Helper()
	_, server := newSite(t, changes...)
	return server
}

// newSite is newServer for a test that looks at the Site, too.
func newSite(t *testing.T, changes ...func(*pages.Config)) (*pages.Site, http.Handler) {
	t.Helper()
	cfg := pages.Config{
		Version: "v1.2.3", Upstreams: []string{"sdkbridge", "localagent"},
		Reachable: func(context.Context) error { return nil }, PingStore: func(context.Context) error { return nil },
		Caller: func(_ context.Context, key string) (agent.Caller, error) {
			if key != "crsr_good" {
				return agent.Caller{}, &agent.Error{Code: agent.InvalidKey}
			}
			return agent.Caller{CursorKey: agent.NewSecret(key)}, nil
		},
		WhoIs: func(context.Context, agent.Secret) (hosted.Person, error) {
			return hosted.Person{FirstName: "Ada", Email: "ada@example.com", KeyName: "laptop"}, nil
		},
		Models: func(context.Context, agent.Caller) ([]catalog.Model, error) { return catalog.Builtin(), nil },
		Hops:   forwarded.NewReader(nil, nil, nil),
	}
	for _, change := range changes {
		change(&cfg)
	}
	site := pages.New(cfg)
	return site, httpd.New(httpd.Config{Routes: site.Routes(), Home: site.Home, ErrorForms: []api.ErrorForm{site.ErrorForm()}}).Handler()
}

// browse asks for a page as a browser does.
func browse(t *testing.T, server http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	r.Host = "gw.test:8787"
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	return w
}

func TestABrowserGetsAPageAndAProgramGetsJSON(t *testing.T) {
	server := newServer(t)
	if w := browse(t, server, "/"); w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(w.Body.String(), "http://gw.test:8787/v1") {
		t.Errorf("a browser gets %d %v %s", w.Code, w.Header(), w.Body)
	}
	for _, accept := range []string{"", "*/*", "application/json", "application/json, text/html;q=0.9"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"name":"composer-api","status":"ok"}` || w.Header().Get("Vary") != "Accept" {
			t.Errorf("Accept %q gets %d %v %s", accept, w.Code, w.Header(), w.Body)
		}
	}
}

// Whatever a page loads is ours, is there, and may be kept for ever.
func TestWhatPagesLoadIsServedWithALongLife(t *testing.T) {
	server := newServer(t)
	addresses := regexp.MustCompile(`(?:src|href)="([^"#]*)`)
	for _, page := range []string{"/", "/chat", "/docs", "/docs/clients", "/docs/settings"} {
		w := browse(t, server, page)
		for _, found := range addresses.FindAllStringSubmatch(w.Body.String(), -1) {
			at := found[1]
			switch {
			case strings.HasPrefix(at, "/assets/"):
				file := browse(t, server, at)
				if file.Code != 200 || !strings.Contains(file.Header().Get("Cache-Control"), "immutable") || file.Header().Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s loads %s: %d %v", page, at, file.Code, file.Header())
				}
			case at != "" && at[0] != '/':
				t.Errorf("%s refers to %s", page, at)
			}
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %s", page, policy)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by pages of other origins", page)
		}
	}
}

func TestAFileIsSentInTheFormThatTheBrowserTakes(t *testing.T) {
	server := newServer(t)
	at := regexp.MustCompile(`/assets/[^"]*base.css`).FindString(browse(t, server, "/").Body.String())
	sizes := map[string]int{}
	for accepted, want := range map[string]string{"": "", "gzip, deflate": "gzip", "gzip, deflate, br, zstd": "zstd", "gzip;q=0": "", "br": ""} {
		r := httptest.NewRequest("GET", at, nil)
		r.Header.Set("Accept-Encoding", accepted)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding"); w.Code != 200 || got != want || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q gets %d %q", accepted, w.Code, got)
		}
		sizes[want] = w.Body.Len()
	}
	if sizes["gzip"] >= sizes[""]/2 || sizes["zstd"] >= sizes[""]/2 {
		t.Errorf("sizes: %v", sizes)
	}
	for _, bad := range []string{strings.Replace(at, "base.css", "nothing.css", 1), "/assets/0000000000000000/base.css", strings.Replace(at, "base.css", "..%2fdoc.go", 1)} {
		r := httptest.NewRequest("GET", bad, nil)
		w := httptest.NewRecorder()
		if server.ServeHTTP(w, r); w.Code != 404 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}

func TestTheHomePageSaysWhatIsWrong(t *testing.T) {
	w := browse(t, newServer(t, func(c *pages.Config) {
		c.Reachable = func(context.Context) error {
			return agent.Errorf(agent.Upstream, "Cursor can't be reached at <b>here</b>.")
		}
	}), "/")
	if body := w.Body.String(); !strings.Contains(body, "reached at &lt;b&gt;here&lt;/b&gt;.") {
		t.Errorf("%s", body)
	}
}

// post sends a form as a browser does from a page of the server.
func post(t *testing.T, server http.Handler, path, fields string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(fields))
	r.Host = "gw.test:8787"
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "http://gw.test:8787")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	return w
}

func TestAKeyIsCheckedAndNotShown(t *testing.T) {
	server := newServer(t)
	w := post(t, server, "/check", "key=crsr_good")
	if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "This key works") || !strings.Contains(body, "ada@example.com") || strings.Contains(body, "crsr_good") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", w.Code, w.Header(), body)
	}
	w = post(t, server, "/check", "key=crsr_bad")
	if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "The API key is not valid") || strings.Contains(body, "crsr_bad") {
		t.Errorf("%d %s", w.Code, body)
	}
}

func TestAFormOfAnotherSiteIsRefused(t *testing.T) {
	server := newServer(t)
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://localhost:3000"},
		{"Origin", "http://localhost:3000", "Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "cross-site"},
	} {
		if w := post(t, server, "/check", "key=crsr_good", headers...); w.Code != 403 || !strings.Contains(w.Body.String(), "<h1>Forbidden</h1>") {
			t.Errorf("%v: %d %s", headers, w.Code, w.Body)
		}
	}
	if w := post(t, server, "/check", "{}", "Content-Type", "application/json"); w.Code != 415 {
		t.Errorf("JSON: %d", w.Code)
	}
	if w := post(t, server, "/check", "key="+strings.Repeat("a", 20<<10)); w.Code != 400 {
		t.Errorf("a large form: %d", w.Code)
	}
}

// A page with a session's token is never compressed: its size could tell the token (BREACH).
func TestPagesWithoutSecretsAreCompressed(t *testing.T) {
	h := newHouse(t)
	for path, want := range map[string]string{"/": "gzip", "/docs/clients": "gzip", "/keys": "", "/usage": "", "/admin": ""} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 || w.Header().Get("Content-Encoding") != want {
			t.Errorf("%s: %d %q, want %q", path, w.Code, w.Header().Get("Content-Encoding"), want)
		}
	}
}

// Whoever made these texts can't make the page do anything.
func TestMarkupInTextsOfOthersIsText(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	server := newServer(t, func(c *pages.Config) {
		c.WhoIs = func(context.Context, agent.Secret) (hosted.Person, error) {
			return hosted.Person{FirstName: evil, Email: evil, KeyName: evil}, nil
		}
		c.Models = func(context.Context, agent.Caller) ([]catalog.Model, error) {
			return []catalog.Model{{ID: evil, DisplayName: evil}}, nil
		}
		c.Reachable = func(context.Context) error { return agent.Errorf(agent.Upstream, "%s", evil) }
	})
	for _, w := range []*httptest.ResponseRecorder{post(t, server, "/check", "key=crsr_good"), browse(t, server, "/"), browse(t, server, "/"+url.PathEscape(evil)), browse(t, server, "/docs/"+url.PathEscape(evil))} {
		if body := w.Body.String(); strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
			t.Errorf("%d %s", w.Code, body)
		}
	}
}

// The address on the page is copied into shells: a Host header that no browser sends is not repeated.
func TestAnAddressThatIsNoneIsNotShown(t *testing.T) {
	server := newServer(t)
	for _, host := range []string{"a;id", "$(id)", "a'b", "a&b"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "http://127.0.0.1:8787/v1") || strings.Contains(body, "http://"+host) {
			t.Errorf("%q: %d", host, w.Code)
		}
	}
}

func TestBehindAPathEveryLinkBeginsWithIt(t *testing.T) {
	server := newServer(t, func(c *pages.Config) { c.PublicURL = "http://gw.test:8787/composer" })
	for _, page := range []string{"/", "/docs", "/docs/quick-start", "/chat"} {
		w := browse(t, server, page)
		for _, found := range regexp.MustCompile(`(?:src|href|action)="(/[^"]*)`).FindAllStringSubmatch(w.Body.String(), -1) {
			if !strings.HasPrefix(found[1], "/composer/") {
				t.Errorf("%s leads to %s", page, found[1])
			}
		}
	}
	if w := browse(t, server, "/"); !strings.Contains(w.Body.String(), "http://gw.test:8787/composer/v1") {
		t.Error("the address is not the public one")
	}
}

// Every link inside the guide leads somewhere, also to a heading.
func TestLinksInTheGuideLeadSomewhere(t *testing.T) {
	server := newServer(t)
	links := regexp.MustCompile(`href="(/docs[^"#]*)?(#[^"]+)?"`)
	for _, name := range []string{"", "/quick-start", "/clients", "/upstreams", "/settings", "/errors", "/responses", "/json-schema", "/hosted-keys", "/privacy", "/deployment"} {
		page := browse(t, server, "/docs"+name)
		if page.Code != 200 || strings.Contains(page.Body.String(), "__root__") {
			t.Errorf("/docs%s: %d", name, page.Code)
		}
		for _, found := range links.FindAllStringSubmatch(page.Body.String(), -1) {
			target := page
			if found[1] != "" {
				target = browse(t, server, found[1])
			}
			if id := strings.TrimPrefix(found[2], "#"); target.Code != 200 || id != "" && !strings.Contains(target.Body.String(), `id="`+id+`"`) {
				t.Errorf("/docs%s leads to %s%s: %d", name, found[1], found[2], target.Code)
			}
		}
	}
}

// Programs get errors of the API as they know them, whoever asks.
func TestErrorsOfTheAPIStayJSON(t *testing.T) {
	server := newServer(t)
	for _, path := range []string{"/v1/models", "/v1", "/u/acct_1/v1/x", "/api/x"} {
		if w := browse(t, server, path); w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s", path, w.Header().Get("Content-Type"))
		}
	}
	if w := browse(t, server, "/nothing"); w.Code != 404 || !strings.Contains(w.Body.String(), "<h1>Not Found</h1>") || w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The command that sets a client up names this server, and is left out where it can't reach it.
func TestEachClientHasItsSetupCommand(t *testing.T) {
	for public, want := range map[string]string{
		"": "composer-api setup opencode --addr gw.test:8787", "http://127.0.0.1:8787": "composer-api setup opencode</code>",
		"http://gw.test": "composer-api setup opencode --addr gw.test:80", "https://gw.test": "", "http://gw.test/composer": "",
	} {
		server := newServer(t, func(c *pages.Config) { c.PublicURL = public })
		for _, path := range []string{"/", "/docs/clients"} {
			body := browse(t, server, path).Body.String()
			if want != "" && !strings.Contains(body, want) || want == "" && strings.Contains(body, "setup opencode</code></pre>") {
				t.Errorf("%s%s: no %q", public, path, want)
			}
			if strings.Contains(body, "class=\"language-sh\">composer-api setup") {
				t.Errorf("%s%s has the command of the document", public, path)
			}
		}
	}
}
