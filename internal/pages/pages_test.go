package pages_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/forwarded"
	"composer-api/internal/httpd"
	"composer-api/internal/pages"
)

// newServer serves the pages as cli does. The changes are made to a configuration in which all is well.
func newServer(t *testing.T, changes ...func(*pages.Config)) http.Handler {
	t.Helper()
	cfg := pages.Config{
		Version: "v1.2.3", Upstreams: []string{"sdkbridge", "localagent"},
		Reachable: func(context.Context) error { return nil },
		Hops:      forwarded.NewReader(nil, nil, nil),
	}
	for _, change := range changes {
		change(&cfg)
	}
	site, err := pages.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return httpd.New(httpd.Config{Routes: site.Routes(), Home: site.Home}).Handler()
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
	for _, page := range []string{"/", "/chat"} {
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
