package admin_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/admin"
	"composer-api/internal/api/forwarded"
	"composer-api/internal/api/openai"
	"composer-api/internal/golden"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
	"composer-api/internal/store/memstore"
)

// token is the operator's.
const token = "cmpadmin_right"

// Each file in testdata is one behaviour: after the comment that says why come requests, "METHOD /path" and a body, each
// with the answer to it; -update rewrites the answers. A request has the operator's token, unless its first line is
// "token …"; "from other machines" before it is a server that others can reach.
func TestGolden(t *testing.T) {
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, c *golden.Case) {
		s := newServer(t)
		var last string
		for i, f := range c.Files {
			switch f.Name {
			case "request":
				last = s.do(t, string(f.Data))
			case "response":
				c.WantAt(t, i, last)
			default:
				t.Fatalf("unknown section %q", f.Name)
			}
		}
	})
}

// A server is the routes on a database with two accounts.
type server struct {
	db    *memstore.Store
	mux   http.Handler
	now   time.Time         // a second later with each request
	names map[string]string // of what was made, so that requests can name it and answers are the same each time
}

func newServer(t testing.TB) *server {
	s := &server{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), names: map[string]string{}}
	s.db = memstore.New(memstore.Config{Now: s.clock}).Open()
	for _, name := range []string{"ada", "eve"} {
		now := s.clock()
		_, err := s.db.SignUp(t.Context(), store.Account{ID: "acct_" + name, Email: name + "@example.com", KeyHint: "crsr_…0001", Created: now, Updated: now},
			store.Key{ID: "key_" + name, Account: "acct_" + name, Hash: sha256.Sum256([]byte(name)), Hint: "cmp_…" + name, Created: now}, store.SignUpRule{})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.mux = s.routes(true)
	return s
}

func (s *server) clock() time.Time { return s.now }

func (s *server) routes(localOnly bool) http.Handler {
	clock := s.clock
	mux := http.NewServeMux()
	for _, route := range admin.Routes(admin.Config{
		Operator: hosted.New(hosted.Config{Store: s.db, Now: clock}).Operator, Store: s.db, Now: clock, LocalOnly: localOnly,
		IsToken: func(_ context.Context, text string) (bool, error) { return text == token, nil },
		Tries:   hosted.NewLimiter(s.db, "operator's token", 3, time.Hour, clock),
		Hops:    forwarded.NewReader(nil, nil, nil),
		Limits:  []admin.Limit{{Name: "Turns at once", Value: "no limit", Setting: "COMPOSER_MAX_REQUESTS"}},
	}) {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handle(w, r, nil); err != nil {
				openai.WriteError(w, err)
			}
		})
	}
	return mux
}

// minted are what is another text every time.
var minted = regexp.MustCompile(`(cmp|cmpinvite)_[A-Za-z0-9_-]{24,}|key_[0-9a-f]{16}|inv_[A-Za-z0-9]{16}|audit_[A-Za-z0-9]{22}|cmp_….{4}`)

// do sends a request and returns the answer as text.
func (s *server) do(t testing.TB, request string) string {
	bearer, mux := token, s.mux
	s.now = s.now.Add(time.Second)
	if rest, ok := strings.CutPrefix(request, "from other machines\n"); ok {
		request, mux = rest, s.routes(false)
	}
	if line, rest, ok := strings.Cut(request, "\n"); ok && strings.HasPrefix(line, "token ") {
		bearer, request = strings.TrimPrefix(line, "token "), rest
	}
	for name, made := range s.names {
		request = strings.ReplaceAll(request, name, made)
	}
	reader := bufio.NewReader(strings.NewReader(request))
	line, _ := reader.ReadString('\n')
	method, path, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		t.Fatalf("bad request line %q", line)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, reader)
	r.Header.Set("Authorization", "Bearer "+bearer)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	text := minted.ReplaceAllStringFunc(string(body), func(made string) string {
		if strings.HasPrefix(made, "cmp_…") {
			return "cmp_…HINT"
		}
		for name, known := range s.names {
			if known == made {
				return name
			}
		}
		kind, _, _ := strings.Cut(made, "_")
		name := fmt.Sprintf("%s-%d", strings.ToUpper(kind), len(s.names)+1)
		s.names[name] = made
		return name
	})
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s may be cached", line)
	}
	return fmt.Sprintf("%d\n\n%s", w.Code, text)
}

// Whatever is sent, the answer is a success or a fault of the request, and nothing is done without the token.
func FuzzRoutes(f *testing.F) {
	for i, body := range []string{`{"limits":{"concurrent":1}}`, `{"account":"acct_ada","name":"x","expires_at":99999999999,"limits":{"models":["["]}}`, `{"uses":-1,"expires_at":1}`, "\xff", "[]", "null"} {
		f.Add(i, body, "acct_ada", "limit=1&after=x", true)
	}
	f.Fuzz(func(t *testing.T, route int, body, id, query string, right bool) {
		s := newServer(t)
		routes := admin.Routes(admin.Config{
			Operator: hosted.New(hosted.Config{Store: s.db}).Operator, Store: s.db, LocalOnly: true,
			IsToken: func(context.Context, string) (bool, error) { return right, nil },
			Tries:   hosted.NewLimiter(nil, "", 0, 0, nil), Hops: forwarded.NewReader(nil, nil, nil),
		})
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.SetPathValue("id", id)
		r.URL.RawQuery = query
		err := routes[uint(route)%uint(len(routes))].Handle(httptest.NewRecorder(), r, nil)
		switch code := agent.CodeOf(err); {
		case !right && code != agent.InvalidKey:
			t.Errorf("without the token: %v", err)
		case code == agent.Internal:
			t.Error(err)
		}
	})
}
