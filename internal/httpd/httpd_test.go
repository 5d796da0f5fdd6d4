package httpd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/models"
	"composer-api/internal/api/responses/service"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/httpd"
	"composer-api/internal/store/sqlstore"
)

// turns is a Turner that hands the request to a function and otherwise answers "ok".
type turns func(ctx context.Context, req *agent.Request, sink agent.Sink) error

func (f turns) Turn(ctx context.Context, req *agent.Request, sink agent.Sink) error {
	return f(ctx, req, sink)
}

// say answers text and ends the turn.
func say(sink agent.Sink, text string) error {
	if err := sink.Accept(agent.Accepted{Upstream: "fake", Resume: agent.ResumeNew, Model: agent.Model{ID: "composer-2.5"}}); err != nil {
		return err
	}
	for _, e := range []agent.Event{
		{Kind: agent.Text, Text: []byte(text)},
		{Kind: agent.UsageKind, Usage: &agent.Usage{Input: 3, Output: 1}},
		{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}},
	} {
		if err := sink.Event(&e); err != nil {
			return err
		}
	}
	return sink.Flush()
}

func sayOK(_ context.Context, _ *agent.Request, sink agent.Sink) error { return say(sink, "ok") }

// upstreams are all there, whatever is asked for.
type upstreams struct{}

func (upstreams) Configured(string) error                 { return nil }
func (upstreams) Reachable(context.Context, string) error { return nil }

// surfaces are chat completions and the list of models, with turn for their turns.
func surfaces(turn turns) []api.Route {
	return slices.Concat(chat.Routes(turn, nil, nil), models.Routes(catalog.New(catalog.Config{}), upstreams{}))
}

// newServer makes a server with what a test leaves open filled in.
func newServer(cfg httpd.Config) *httpd.Server {
	if cfg.Surfaces == nil {
		cfg.Surfaces = surfaces(sayOK)
	}
	return httpd.New(cfg)
}

// An exchange is a request as a line ("POST /v1/chat/completions"), with headers and a body.
type exchange struct {
	line   string
	header http.Header
	body   string
}

const key = "crsr_hunter2"

func withKey(key string) http.Header { return http.Header{"Authorization": {"Bearer " + key}} }

const hello = `{"model":"composer-2.5","messages":[{"role":"user","content":"hello"}]}`

// do sends x to the server's handler, with the usual key unless the exchange has headers of its own.
func do(t *testing.T, s *httpd.Server, x exchange) *httptest.ResponseRecorder {
	t.Helper()
	method, target, _ := strings.Cut(x.line, " ")
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(x.body))
	r.Header = x.header
	if r.Header == nil {
		r.Header = withKey(key)
	}
	if x.body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// An apiError is the error object of an answer.
type apiError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func errorOf(t *testing.T, body []byte) apiError {
	t.Helper()
	var answer struct{ Error *apiError }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error == nil {
		t.Fatalf("the answer is no error object: %s", body)
	}
	return *answer.Error
}

func TestRoutes(t *testing.T) {
	s := newServer(httpd.Config{ResolveKey: func(_ context.Context, token string) (agent.Caller, error) {
		return agent.Caller{Owner: "a:acct_1", CursorKey: agent.NewSecret("crsr_x")}, nil
	}})
	tests := []struct {
		name string
		exchange
		status int
		code   string // of the error; "" for none
	}{
		{"chat", exchange{"POST /v1/chat/completions", nil, hello}, 200, ""},
		{"chat with a query string", exchange{"POST /v1/chat/completions?beta=true", nil, hello}, 200, ""},
		{"chat with two slashes, from a base URL with one at its end", exchange{"POST /v1//chat/completions", nil, hello}, 200, ""},
		{"chat with a slash at the end", exchange{"POST /v1/chat/completions/", nil, hello}, 200, ""},
		{"chat for a hosted key", exchange{"POST /u/acct_1/v1/chat/completions", withKey("cmp_1"), hello}, 200, ""},
		{"chat for OpenCode", exchange{"POST /opencodev2/v1/chat/completions", nil, hello}, 200, ""},
		{"chat for OpenCode of old", exchange{"POST /opencode/v1/chat/completions", nil, hello}, 200, ""},
		{"models", exchange{"GET /v1/models", nil, ""}, 200, ""},
		{"models, head only", exchange{"HEAD /v1/models", nil, ""}, 200, ""},
		{"one model", exchange{"GET /v1/models/composer-2.5", nil, ""}, 200, ""},
		{"one model whose id holds a slash", exchange{"GET /v1/models/cursor/composer-2.5", nil, ""}, 200, ""},
		{"one model whose id holds an escaped slash", exchange{"GET /v1/models/cursor%2Fcomposer-2.5", nil, ""}, 200, ""},
		{"no such model", exchange{"GET /v1/models/nobody:7b", nil, ""}, 404, "model_not_found"},
		{"alive", exchange{"GET /healthz", http.Header{}, ""}, 200, ""},
		{"ready", exchange{"GET /readyz", http.Header{}, ""}, 200, ""},
		{"no such path", exchange{"GET /v2/models", nil, ""}, 404, "unknown_url"},
		{"the root", exchange{"GET /", http.Header{}, ""}, 200, ""},
		{"the root, looked at", exchange{"HEAD /", http.Header{}, ""}, 200, ""},
		{"the root of an account", exchange{"HEAD /u/acct_000000000000000000000000", http.Header{}, ""}, 200, ""},
		{"the root, written to", exchange{"POST /", nil, ""}, 405, "unknown_url"},
		{"wrong method", exchange{"GET /v1/chat/completions", nil, ""}, 405, "unknown_url"},
		{"wrong method for models", exchange{"POST /v1/models", nil, "{}"}, 405, "unknown_url"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := do(t, s, tt.exchange)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.code != "" {
				if e := errorOf(t, w.Body.Bytes()); e.Code == nil || *e.Code != tt.code {
					t.Errorf("error %+v, want code %s", e, tt.code)
				}
			}
			if w.Header().Get("X-Request-Id") == "" {
				t.Error("no request id")
			}
		})
	}
}

func TestAWrongMethodIsToldWhichAreRight(t *testing.T) {
	w := do(t, newServer(httpd.Config{}), exchange{"DELETE /v1/models", nil, ""})
	if got, want := w.Header().Get("Allow"), "GET, HEAD, OPTIONS"; w.Code != 405 || got != want {
		t.Errorf("status %d, Allow %q, want %q", w.Code, got, want)
	}
	if w.Header().Get("X-Should-Retry") != "false" {
		t.Error("the client may think that a retry helps")
	}
}

func TestAMissingV1IsPointedOut(t *testing.T) {
	w := do(t, newServer(httpd.Config{}), exchange{"POST /chat/completions", nil, hello})
	if e := errorOf(t, w.Body.Bytes()); w.Code != 404 || !strings.Contains(e.Message, "/v1/chat/completions") {
		t.Errorf("status %d, message %q", w.Code, e.Message)
	}
}

func TestWhatARouteTellsTheTurn(t *testing.T) {
	var got *agent.Request
	s := newServer(httpd.Config{
		OpenCodeV2: "bridge", OpenCode: "chat",
		ResolveKey: func(context.Context, string) (agent.Caller, error) {
			return agent.Caller{Owner: "a:acct_1", CursorKey: agent.NewSecret("crsr_x")}, nil
		},
		Surfaces: surfaces(func(_ context.Context, req *agent.Request, sink agent.Sink) error {
			got = req
			return say(sink, "ok")
		}),
	})
	direct := httpd.DirectCaller(key).Owner
	tests := []struct {
		line                     string
		header                   http.Header
		upstream, session, owner string
	}{
		{"POST /v1/chat/completions", withKey(key), "", "", direct},
		{"POST /opencodev2/v1/chat/completions", withKey(key), "bridge", "", direct},
		{"POST /opencode/v1/chat/completions", withKey(key), "chat", "", direct},
		{"POST /u/acct_1/v1/chat/completions", withKey("cmp_1"), "", "", "a:acct_1"},
		{"POST /v1/chat/completions", withKey("cmp_1"), "", "", "a:acct_1"},
		{"POST /v1/chat/completions", http.Header{"X-Api-Key": {key}, "X-Session-Id": {"s1"}}, "", "s1", direct},
		{"POST /v1/chat/completions", http.Header{"X-Api-Key": {key}, "X-Session-Id": {"s1"}, "X-Session-Affinity": {"s2"}}, "", "s2", direct},
		{"POST /v1/chat/completions", http.Header{"X-Api-Key": {key}, "X-Opencode-Session": {"s3"}}, "", "s3", direct},
	}
	for _, tt := range tests {
		if w := do(t, s, exchange{tt.line, tt.header, hello}); w.Code != 200 {
			t.Fatalf("%s: status %d: %s", tt.line, w.Code, w.Body)
		}
		if got.Upstream != tt.upstream || got.Session != tt.session || got.Caller.Owner != tt.owner {
			t.Errorf("%s %v: upstream %q, session %q, owner %q; want %q, %q, %q", tt.line, tt.header,
				got.Upstream, got.Session, got.Caller.Owner, tt.upstream, tt.session, tt.owner)
		}
	}
}

// Clients of the reference system reach both surfaces below these bases, so both pin a session to its conversation.
func TestASessionIsPinnedOnEverySurface(t *testing.T) {
	var got *agent.Request
	turn := turns(func(_ context.Context, req *agent.Request, sink agent.Sink) error {
		got = req
		return say(sink, "ok")
	})
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: filepath.Join(t.TempDir(), "composer.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	responses := service.New(service.Config{Turns: turn, Store: db})
	defer responses.Close()
	s := newServer(httpd.Config{Surfaces: append(surfaces(turn), responses.Routes()...)})
	bodies := map[string]string{
		"/chat/completions": hello,
		"/responses":        `{"model":"composer-2.5","store":false,"input":"hello"}`,
	}
	for base, pinned := range map[string]bool{"/v1": false, "/opencodev2/v1": true, "/opencode/v1": true} {
		for path, body := range bodies {
			header := withKey(key)
			header.Set("X-Opencode-Session", "s1")
			header.Set("X-Request-Id", "req_1")
			if w := do(t, s, exchange{"POST " + base + path, header, body}); w.Code != 200 {
				t.Fatalf("%s%s: status %d: %s", base, path, w.Code, w.Body)
			}
			want := agent.Origin{RequestID: "req_1", Endpoint: "POST " + base + path}
			if got.Origin.Received.IsZero() {
				t.Errorf("%s%s: nobody noted when the request came", base, path)
			}
			got.Origin.Received = time.Time{}
			if got.PinSession != pinned || got.Session != "s1" || got.Origin != want {
				t.Errorf("%s%s: pinned %v, session %q, origin %+v; want %v, %q, %+v", base, path,
					got.PinSession, got.Session, got.Origin, pinned, "s1", want)
			}
		}
	}
}

func TestAuth(t *testing.T) {
	resolve := func(_ context.Context, token string) (agent.Caller, error) {
		if token != "cmp_good" {
			return agent.Caller{}, &agent.Error{Code: agent.InvalidKey}
		}
		return agent.Caller{Owner: "a:acct_1", CursorKey: agent.NewSecret("crsr_x")}, nil
	}
	hosted, none := httpd.Config{ResolveKey: resolve}, httpd.Config{}
	demo := httpd.Config{Keyless: &agent.Caller{Owner: "demo"}}
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	tests := []struct {
		name   string
		cfg    httpd.Config
		path   string
		header http.Header
		status int
		code   string // "null" when the error's code is null
	}{
		{"no key", none, "/v1/models", http.Header{}, 401, "null"},
		{"an empty bearer", none, "/v1/models", header("Authorization", "Bearer "), 401, "null"},
		{"another scheme", none, "/v1/models", header("Authorization", "Basic abc"), 401, "null"},
		{"a bearer", none, "/v1/models", header("Authorization", "Bearer "+key), 200, ""},
		{"a bearer in small letters", none, "/v1/models", header("Authorization", "bearer "+key), 200, ""},
		{"x-api-key", none, "/v1/models", header("X-Api-Key", key), 200, ""},
		{"a key that can't be sent on", none, "/v1/models", header("X-Api-Key", "a b"), 401, "invalid_api_key"},
		{"a variable that the client has not replaced", none, "/v1/models", withKey("{env:CURSOR_API_KEY}"), 401, "invalid_api_key"},
		{"a key in quotes", none, "/v1/models", withKey(`"crsr_x"`), 401, "invalid_api_key"},
		{"a very long key", none, "/v1/models", withKey(strings.Repeat("x", 5000)), 401, "invalid_api_key"},
		{"a hosted key where there are none", none, "/v1/models", withKey("cmp_good"), 401, "invalid_api_key"},
		{"a hosted key", hosted, "/v1/models", withKey("cmp_good"), 200, ""},
		{"an unknown hosted key", hosted, "/v1/models", withKey("cmp_bad"), 401, "invalid_api_key"},
		{"a hosted key on its account's address", hosted, "/u/acct_1/v1/models", withKey("cmp_good"), 200, ""},
		{"a hosted key on another's address", hosted, "/u/acct_2/v1/models", withKey("cmp_good"), 403, "permission_denied"},
		{"a direct key on an account's address", hosted, "/u/acct_1/v1/models", withKey(key), 401, "invalid_api_key"},
		{"no key in a demo", demo, "/v1/models", http.Header{}, 200, ""},
		{"a variable that the client has not replaced, in a demo", demo, "/v1/models", withKey("$CURSOR_API_KEY"), 200, ""},
		{"no key on an account's address in a demo", demo, "/u/acct_1/v1/models", http.Header{}, 401, "null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := do(t, newServer(tt.cfg), exchange{"GET " + tt.path, tt.header, ""})
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.code == "" {
				return
			}
			got := "null"
			if e := errorOf(t, w.Body.Bytes()); e.Code != nil {
				got = *e.Code
			}
			if got != tt.code {
				t.Errorf("code %s, want %s", got, tt.code)
			}
		})
	}
}

func TestTheOwnerOfADirectKeyIsAHash(t *testing.T) {
	a, again, b := httpd.DirectCaller(key), httpd.DirectCaller(key), httpd.DirectCaller(key+"x")
	if a.Owner != again.Owner || a.Owner == b.Owner || !strings.HasPrefix(a.Owner, "k:") || strings.Contains(a.Owner, key) {
		t.Errorf("owners %s, %s, %s", a.Owner, again.Owner, b.Owner)
	}
}

func TestRequestIDs(t *testing.T) {
	s := newServer(httpd.Config{})
	for _, tt := range []struct {
		name, sent string
		kept       bool
	}{
		{"a sane one is taken over", "abc-123_4.5", true},
		{"none is minted", "", false},
		{"one with a line break is replaced", "a\nb", false},
		{"a long one is replaced", strings.Repeat("a", 129), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := do(t, s, exchange{"GET /nowhere", http.Header{"X-Request-Id": {tt.sent}}, ""})
			if got := w.Header().Get("X-Request-Id"); got == "" || (got == tt.sent) != tt.kept {
				t.Errorf("sent %q, got %q", tt.sent, got)
			}
		})
	}
}

func TestPreflightsSucceedEverywhere(t *testing.T) {
	s := newServer(httpd.Config{})
	for _, path := range []string{"/v1/chat/completions", "/v1/models", "/nowhere"} {
		w := do(t, s, exchange{"OPTIONS " + path, http.Header{
			"Origin": {"https://page.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,x-stainless-os"},
		}, ""})
		h := w.Header()
		if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Headers") != "authorization,x-stainless-os" {
			t.Errorf("%s: status %d, headers %v", path, w.Code, h)
		}
	}
	if w := do(t, s, exchange{"GET /v1/models", http.Header{}, ""}); w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("an error can't be read by a page: %v", w.Header())
	}
}

func TestAPanicIsA500ThatSaysNothing(t *testing.T) {
	var log bytes.Buffer
	s := newServer(httpd.Config{
		Log:      slog.New(slog.NewTextHandler(&log, nil)),
		Surfaces: surfaces(func(context.Context, *agent.Request, agent.Sink) error { panic("inside") }),
	})
	w := do(t, s, exchange{"POST /v1/chat/completions", nil, hello})
	if e := errorOf(t, w.Body.Bytes()); w.Code != 500 || strings.Contains(e.Message, "inside") {
		t.Errorf("status %d, message %q", w.Code, e.Message)
	}
	if !strings.Contains(log.String(), "inside") || !strings.Contains(log.String(), "status=500") {
		t.Errorf("the log does not tell: %s", &log)
	}
}

// With http.ErrAbortHandler a handler cuts its connection, so that the client does not take a part for the whole.
func TestAnAbortReachesTheServer(t *testing.T) {
	for _, value := range []error{http.ErrAbortHandler, fmt.Errorf("wrapped: %w", http.ErrAbortHandler)} {
		s := newServer(httpd.Config{Surfaces: surfaces(func(context.Context, *agent.Request, agent.Sink) error { panic(value) })})
		func() {
			defer func() {
				if got := recover(); got != value {
					t.Errorf("%v arrives as %v", value, got)
				}
			}()
			w := do(t, s, exchange{"POST /v1/chat/completions", nil, hello})
			t.Errorf("%v: answered with %d", value, w.Code)
		}()
	}
}

func TestTheLogTellsWhatHappenedAndNothingThatWasSaid(t *testing.T) {
	var log bytes.Buffer
	s := newServer(httpd.Config{
		Log:      slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Surfaces: surfaces(func(_ context.Context, _ *agent.Request, sink agent.Sink) error { return say(sink, "the answer") }),
	})
	header := withKey(key)
	header.Set("X-Request-Id", "abc")
	do(t, s, exchange{"POST /v1/chat/completions?secret=query", header, strings.Replace(hello, "hello", "the question", 1)})
	do(t, s, exchange{"POST /v1/chat/completions", nil, `{"model":"the model"`})
	do(t, s, exchange{"POST /v1/chat/completions", nil, `{"model":"composer-2.5","messages":[{"role":"what the user said"}]}`})
	for _, want := range []string{"id=abc", "method=POST", "path=/v1/chat/completions", "status=200", "upstream=fake", "resume=new", "model=composer-2.5", "status=400", "code=invalid_json", "code=invalid_value", "param=messages[0].role"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, &log)
		}
	}
	for _, secret := range []string{key, "hunter2", "the question", "the answer", "what the user said", "secret=query"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, &log)
		}
	}
}

func TestDraining(t *testing.T) {
	s := newServer(httpd.Config{})
	s.Drain()
	for line, want := range map[string]int{
		"POST /v1/chat/completions": 503, "GET /readyz": 503, "GET /healthz": 200, "GET /v1/models": 200,
	} {
		body := ""
		if strings.HasPrefix(line, "POST") {
			body = hello
		}
		w := do(t, s, exchange{line, nil, body})
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", line, w.Code, want)
		}
		if want == 503 && (w.Header().Get("Retry-After") == "" || w.Header().Get("Connection") != "close") {
			t.Errorf("%s: headers %v", line, w.Header())
		}
	}
}

func TestLimitsOfTurnsInProgress(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := newServer(httpd.Config{MaxRequests: 2, MaxPerOwner: 1, Surfaces: surfaces(func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		entered <- struct{}{}
		<-release
		return say(sink, "ok")
	})})
	done := make(chan int)
	start := func(key string) {
		go func() { done <- do(t, s, exchange{"POST /v1/chat/completions", withKey(key), hello}).Code }()
		<-entered
	}
	refused := func(key, why string) {
		t.Helper()
		w := do(t, s, exchange{"POST /v1/chat/completions", withKey(key), hello})
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), why) {
			t.Errorf("status %d, headers %v: %s", w.Code, w.Header(), w.Body)
		}
	}
	start("k1")
	refused("k1", "Your key")
	start("k2")
	refused("k3", "The server")
	close(release)
	for range 2 {
		if code := <-done; code != 200 {
			t.Errorf("a turn within the limits: status %d", code)
		}
	}
	go func() { <-entered }()
	if w := do(t, s, exchange{"POST /v1/chat/completions", withKey("k1"), hello}); w.Code != 200 {
		t.Errorf("after the others: status %d", w.Code)
	}
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
