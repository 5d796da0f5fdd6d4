package pages

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

// policy is the header Content-Security-Policy of every page. Only what this server itself serves is loaded, and no code
// in the markup runs. Pictures may also come from the page's own memory: people paste them into the playground.
//
// style-src has no 'unsafe-inline': a template that uses the attribute style has no effect in the
// browser.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// secure sets the headers that every answer of this package has.
//
// They are set before anything is written, also for files and redirects.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that don't know frame-ancestors
	// Not no-referrer: with that, browsers send "Origin: null" with our own forms, which httpd refuses.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	// httpd lets pages of all origins read its answers, because a key allows them and never a cookie. Here a cookie may.
	h.Del("Access-Control-Allow-Origin")
	h.Del("Access-Control-Expose-Headers")
}

// A view is what the layout needs to know for every page.
//
//	layout.html      uses Root, Here, Version, Demo, Asset
//	a page's blocks  use Data, which is a home, reading, keyring, usage, operation or failure
type view struct {
	// Root is the path below which the browser sees this server: "", or what a proxy has cut off, such as "/composer".
	// Every link begins with it.
	Root string
	// Address is the base of the addresses for clients: http://127.0.0.1:8787, without a slash at its end.
	Address string
	// Here is the path of the page, without Root, to mark it in the menu.
	Here string
	// Version and Demo are shown on every page.
	Version string
	Demo    bool
	// Data is the page's own.
	Data any

	assets *assets
}

// Asset is the address of a file below static.
func (v *view) Asset(name string) (string, error) {
	at, err := v.assets.path(name)
	return v.Root + at, err
}

// Within reports whether the page lies at a path or below it.
//
// Whole parts of the path count: /docsold is not within /docs.
func (v *view) Within(path string) bool {
	return v.Here == path || strings.HasPrefix(v.Here, path+"/")
}

// plainHost matches a host as it stands in an address that people copy into a shell or a settings file. A browser asks for
// nothing else; other characters that HTTP allows in a Host header could be code there.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9._-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](:[0-9]+)?$`)

// newView gathers what every page says.
//
// data may be nil where only Root and Address are needed. What a proxy says of itself is believed
// as far as Hops trusts it.
func (s *Site) newView(r *http.Request, data any) *view {
	hop := s.cfg.Hops.Read(r)
	// A request with such a host is still answered, with the default address in its examples.
	if !plainHost.MatchString(hop.Host) {
		hop.Host = "127.0.0.1:8787"
	}
	v := &view{
		Root: hop.Prefix, Address: hop.Origin(), Here: r.URL.Path, Version: s.cfg.Version, Demo: s.cfg.Demo, Data: data, assets: embedded().assets,
	}
	if s.cfg.PublicURL != "" {
		v.Address = s.cfg.PublicURL
		// A proxy that cuts off a path without saying so is known from the setting. Who asks by another name, asks past it.
		if u, err := url.Parse(s.cfg.PublicURL); err == nil && hop.Prefix == "" && u.Host == hop.Host {
			v.Root = u.Path
		}
	}
	return v
}

// render answers with a page. Nothing has been written before, so that a template that fails is an error like another.
//
// page is the name of a template without its ending. A name that there isn't is a mistake of ours
// and panics, which httpd answers with 500. The error is the template's, or that of writing to a
// client that has left.
func (s *Site) render(w http.ResponseWriter, r *http.Request, status int, page string, data any) error {
	var b bytes.Buffer
	if err := embedded().pages[page].ExecuteTemplate(&b, "layout.html", s.newView(r, data)); err != nil {
		return err
	}
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	// A page of a session has set no-store before. The others may be kept, and have to be checked
	// at each use.
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache")
	}
	body := b.Bytes()
	if sameForAll[page] {
		h.Add("Vary", "Accept-Encoding")
		if accepts(r, "gzip") {
			body = gzipped(body)
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// sameForAll are the pages that are compressed: they hold no token of a session, which the size of a compressed page could
// give away to whoever can put text into it.
var sameForAll = map[string]bool{"home": true, "docs": true, "chat": true}

// functions are what templates may call.
//
// Times are shown in UTC, so that a page looks the same to everybody who talks about it.
var functions = template.FuncMap{
	"count":   func(n int64) string { return count(float64(n)) },
	"dollars": dollars,
	// An element of its own, because a line may be broken at a hyphen, and base.css says that this one isn't.
	"date": func(t time.Time) template.HTML {
		return template.HTML("<time>" + t.UTC().Format(time.DateOnly) + "</time>")
	},
	"moment":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"seconds": took,
	"limits":  func(l store.KeyLimits) string { return hosted.DescribeLimits(&l) },
	"status":  func(code agent.Code) int { return openai.RowOf(code).Status },
}

// took writes how long a turn was.
func took(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
}

// parseTemplates reads the folder templates: layout.html is what all pages share, every other file is a page, which
// fills in the layout's blocks.
//
// Each page is a clone of the layout, because two pages define blocks of the same names.
func parseTemplates(folder fs.FS) (map[string]*template.Template, error) {
	// html/template escapes by the place where a value stands, so no page does so itself.
	layout, err := template.New("").Funcs(functions).ParseFS(folder, "templates/layout.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(folder, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, name := range names {
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(folder, name)
		}
		if err != nil {
			return nil, err
		}
		all[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return all, nil
}

// chat answers GET /chat, the playground. Its page is empty: the script fills it in.
//
// The script talks to /v1 like any client, with the key that the person gives it: decisions/0060.
func (s *Site) chat(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	return s.render(w, r, http.StatusOK, "chat", nil)
}
