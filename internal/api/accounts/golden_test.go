package accounts_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	api "composer-api/internal/api/accounts"
	"composer-api/internal/api/openai"
	"composer-api/internal/golden"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/waitlist"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sqlstore"
)

// Each file in testdata is one behaviour. After the comment that says why come
//
//	-- server --      how the server is set up: lines of "name value", see newServer
//	-- request --     POST /path, then the body
//	-- response --    the answer to it: status, headers, body; -update rewrites it
//
// A request and its response may follow each other several times, all to the same server.
func TestGolden(t *testing.T) {
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, c *golden.Case) {
		s := newServer(t, "")
		var last string
		for i, f := range c.Files {
			switch f.Name {
			case "server":
				s = newServer(t, string(f.Data))
			case "request":
				last = s.do(string(f.Data))
			case "response":
				c.WantAt(t, i, last)
			default:
				t.Fatalf("unknown section %q", f.Name)
			}
		}
	})
}

// A server is the routes with a real service and a database, and a fake Cursor and waiting list.
type server struct {
	t   *testing.T
	mux *http.ServeMux
	now time.Time
}

// newServer takes these settings, one a line:
//
//	encryption-key off      no ENCRYPTION_KEY
//	database read-only
//	waitlist off|down       not configured, or unreachable
//	public-url URL          COMPOSER_PUBLIC_URL
//	limit N                 COMPOSER_SIGNUP_LIMIT, default none
//	entry WHO               COMPOSER_SIGNUP; there are the invitations for-one and for-two, good for an hour
func newServer(t *testing.T, settings string) *server {
	s := &server{t: t, mux: http.NewServeMux(), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return s.now }
	ring, dsn := seal.Random(), filepath.Join(t.TempDir(), "composer.db")
	list := func(context.Context, waitlist.Entry) error { return nil }
	cfg, limit := api.Config{Now: clock}, 0
	var entry hosted.Entry
	for line := range strings.Lines(settings) {
		switch setting := strings.TrimSpace(line); setting {
		case "encryption-key off":
			ring = nil
		case "database read-only":
			openDatabase(t, dsn)
			dsn = "file:" + dsn + "?_pragma=query_only(1)"
		case "waitlist off":
			list = waitlist.New(waitlist.Config{}).Join
		case "waitlist down":
			list = func(context.Context, waitlist.Entry) error {
				return agent.Errorf(agent.Upstream, "The waiting list can't be reached. Please try again shortly.")
			}
		default:
			if url, ok := strings.CutPrefix(setting, "public-url "); ok {
				cfg.PublicURL = url
				continue
			}
			if who, ok := strings.CutPrefix(setting, "entry "); ok {
				entry = hosted.Entry(who)
				continue
			}
			text, ok := strings.CutPrefix(setting, "limit ")
			n, err := strconv.Atoi(text)
			if !ok || err != nil {
				t.Fatalf("unknown setting %q", setting)
			}
			limit = n
		}
	}
	db := openDatabase(t, dsn)
	// Each with a text of our own, so that requests can stand in the files.
	for name, uses := range map[string]int64{"for-one": 1, "for-two": 2} {
		i := store.Invitation{ID: "inv_" + name, Hash: sha256.Sum256([]byte(name)), Created: s.now, Expires: s.now.Add(time.Hour), Uses: uses}
		if err := db.AddInvitation(t.Context(), i); err != nil && !strings.Contains(settings, "read-only") {
			t.Fatal(err)
		}
	}
	service := hosted.New(hosted.Config{Store: db, Ring: ring, Verify: me, Now: clock, Entry: entry})
	cfg.SignUps, cfg.EarlyAccess = hosted.NewLimiter(db, "sign-up", limit, time.Hour, clock), hosted.NewLimiter(db, "early access", limit, time.Hour, clock)
	cfg.SignUp = service.SignUp
	cfg.Join = func(ctx context.Context, e waitlist.Entry) error {
		if _, err := e.Clean(); err != nil {
			return err
		}
		return list(ctx, e)
	}
	for _, route := range api.Routes(cfg) {
		s.mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handle(w, r, nil); err != nil {
				openai.WriteError(w, err)
			}
		})
	}
	return s
}

func openDatabase(t *testing.T, dsn string) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// me is Cursor's /v1/me: it knows Ada, Eve, who has no names, and a team's key.
func me(_ context.Context, key agent.Secret) (hosted.Person, error) {
	switch name, _, _ := strings.Cut(key.Reveal(), "-"); name {
	case "crsr_ada":
		return hosted.Person{UserID: "user_1", Email: "ada@example.com", FirstName: "Ada", LastName: "Lovelace"}, nil
	case "crsr_eve":
		return hosted.Person{UserID: "user_2"}, nil
	case "crsr_team":
		return hosted.Person{KeyName: "CI of the team"}, nil
	case "crsr_limited":
		return hosted.Person{}, &agent.Error{Code: agent.RateLimited, RetryAfter: 1500 * time.Millisecond}
	case "crsr_down":
		return hosted.Person{}, agent.Errorf(agent.UpstreamTimeout, "Cursor did not answer in time.")
	}
	return hosted.Person{}, &agent.Error{Code: agent.InvalidKey}
}

// minted is a hosted key, which is another one every time.
var minted = regexp.MustCompile(`cmp_[A-Za-z0-9_-]{43}`)

// do sends a request, "POST /path" and a body, and returns the answer as text. "wait DURATION" lets time pass before.
func (s *server) do(request string) string {
	s.t.Helper()
	if duration, rest, ok := strings.Cut(request, "\n"); ok && strings.HasPrefix(duration, "wait ") {
		d, err := time.ParseDuration(strings.TrimPrefix(duration, "wait "))
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(d)
		request = rest
	}
	reader := bufio.NewReader(strings.NewReader(request))
	line, _ := reader.ReadString('\n')
	method, path, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		s.t.Fatalf("bad request line %q", line)
	}
	r := httptest.NewRequest(method, path, reader)
	r.Host = "gw.example.com"
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	var b strings.Builder
	fmt.Fprintln(&b, w.Code)
	for _, name := range []string{"Content-Type", "Cache-Control", "Retry-After", "X-Should-Retry"} {
		if v := w.Header().Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	body, _ := io.ReadAll(w.Body)
	fmt.Fprintf(&b, "\n%s", minted.ReplaceAll(body, []byte("cmp_MINTED")))
	return b.String()
}
