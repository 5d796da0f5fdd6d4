package waitlist_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/hosted/waitlist"
	"composer-api/internal/memnet"
)

// A list is the operator's waiting list: it writes down what it is sent and answers with a status.
type list struct {
	status int
	wait   time.Duration
	got    []string
}

func (l *list) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.got = append(l.got, fmt.Sprintf("%s %s auth=%q %s", r.Method, r.URL.Path, r.Header.Get("Authorization"), body))
	select {
	case <-time.After(l.wait):
	case <-r.Context().Done():
	}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(l.status)
}

// serve runs f in a bubble, with a client of cfg that reaches l.
func serve(t *testing.T, l *list, cfg waitlist.Config, f func(*testing.T, *waitlist.Client)) {
	synctest.Test(t, func(t *testing.T) {
		listener := memnet.Listen()
		server := &http.Server{Handler: l}
		done := make(chan struct{})
		go func() { server.Serve(listener); close(done) }()
		transport := listener.Transport(nil)
		cfg.HTTP = &http.Client{Transport: transport}
		f(t, waitlist.New(cfg))
		transport.CloseIdleConnections()
		server.Close()
		<-done
	})
}

var ada = waitlist.Entry{Name: " Ada ", Email: "ada@example.com"}

func TestAnEntryGoesToTheConfiguredAddress(t *testing.T) {
	const url, fallback = "http://list.test/waitlist", "http://list.test/fallback"
	token := agent.NewSecret("wl_token")
	for _, c := range []struct {
		name string
		cfg  waitlist.Config
		want string
	}{
		{"with a token", waitlist.Config{URL: url, FallbackURL: fallback, Token: token},
			`POST /waitlist auth="Bearer wl_token" {"name":"Ada","email":"ada@example.com","source":"composer-api"}`},
		{"with a source", waitlist.Config{URL: url, Token: token, Source: "our site"},
			`POST /waitlist auth="Bearer wl_token" {"name":"Ada","email":"ada@example.com","source":"our site"}`},
		{"without a token", waitlist.Config{URL: url, FallbackURL: fallback, Source: "our site"},
			`POST /fallback auth="" {"name":"Ada","email":"ada@example.com"}`},
		{"with a token but no address for it", waitlist.Config{FallbackURL: fallback, Token: token},
			`POST /fallback auth="" {"name":"Ada","email":"ada@example.com"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &list{status: http.StatusCreated}
			serve(t, l, c.cfg, func(t *testing.T, client *waitlist.Client) {
				if err := client.Join(t.Context(), ada); err != nil {
					t.Fatal(err)
				}
			})
			if len(l.got) != 1 || l.got[0] != c.want {
				t.Errorf("the list got\n%s\nwant\n%s", strings.Join(l.got, "\n"), c.want)
			}
		})
	}
}

func TestAListThatFailsIsAnUpstreamError(t *testing.T) {
	cfg := waitlist.Config{URL: "http://list.test/waitlist", Token: agent.NewSecret("wl_token")}
	for name, l := range map[string]*list{
		"it refuses":   {status: http.StatusUnauthorized},
		"it breaks":    {status: http.StatusInternalServerError},
		"it redirects": {status: http.StatusTemporaryRedirect},
		"it is slow":   {status: http.StatusOK, wait: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, l, cfg, func(t *testing.T, client *waitlist.Client) {
				start := time.Now()
				err := client.Join(t.Context(), ada)
				if agent.CodeOf(err) != agent.Upstream || strings.Contains(err.Error(), "wl_token") || strings.Contains(err.Error(), "list.test") {
					t.Errorf("%v, want Upstream", err)
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
			})
			if len(l.got) != 1 {
				t.Errorf("the list got %q", l.got)
			}
		})
	}
}

func TestWithoutAListNothingIsSent(t *testing.T) {
	err := waitlist.New(waitlist.Config{URL: "http://list.test", Source: "x"}).Join(t.Context(), ada)
	if agent.CodeOf(err) != agent.NotConfigured || !strings.Contains(agent.AsError(err).Message, "COMPOSER_WAITLIST_URL") {
		t.Errorf("%v, want NotConfigured", err)
	}
}

func TestEntriesAreChecked(t *testing.T) {
	for _, c := range []struct {
		name, email, param string
	}{
		{"", "ada@example.com", "name"},
		{"  ", "ada@example.com", "name"},
		{strings.Repeat("é", 201), "ada@example.com", "name"},
		{"Ada", "", "email"},
		{"Ada", "ada", "email"},
		{"Ada", "ada@example", "email"},
		{"Ada", "a da@example.com", "email"},
		{"Ada", "ada@exa\x00mple.com", "email"},
		{"Ada", "ada@example.com, eve@example.com", "email"},
		{"Ada", strings.Repeat("a", 320) + "@example.com", "email"},
		{strings.Repeat("é", 200), "ada+list@mail.example.co.uk", ""},
	} {
		_, err := waitlist.Entry{Name: c.name, Email: c.email}.Clean()
		param := ""
		if err != nil {
			param = agent.AsError(err).Param
		}
		if param != c.param {
			t.Errorf("%q, %q: %v, want an error about %q", c.name, c.email, err, c.param)
		}
	}
}
