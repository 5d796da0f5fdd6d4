package auth

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/memnet"
)

// A fakeCursor exchanges keys for numbered tokens.
type fakeCursor struct {
	exchanges atomic.Int64
	delay     time.Duration // of each exchange
	life      time.Duration // of a token; 0: it doesn't say

	mu     sync.Mutex
	refuse func(w http.ResponseWriter) bool
}

func (f *fakeCursor) refuseWith(status int, header, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = func(w http.ResponseWriter) bool {
		if status == 0 {
			return false
		}
		w.Header().Set("Retry-After", header)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}
}

func (f *fakeCursor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(f.delay)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil && f.refuse(w) {
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /auth/exchange_user_api_key":
		n := f.exchanges.Add(1)
		payload := fmt.Sprintf(`{"n":%d}`, n)
		if f.life != 0 {
			payload = fmt.Sprintf(`{"n":%d,"exp":%d}`, n, time.Now().Add(f.life).Unix())
		}
		fmt.Fprintf(w, `{"accessToken":"h.%s.s","refreshToken":"r"}`, base64.RawURLEncoding.EncodeToString([]byte(payload)))
	case "GET /v1/me":
		fmt.Fprintf(w, `{"apiKeyName":%q,"createdAt":"2026-01-02T03:04:05Z","userId":42,"userEmail":"a@b.c"}`, r.Header.Get("Authorization"))
	case "GET /v1/models":
		fmt.Fprint(w, `{"items":[{"id":"composer-2.5","displayName":"Composer 2.5","aliases":["composer"],
			"parameters":[{"id":"fast","values":[{"value":"false"},{"value":"true"}]}],
			"variants":[{"params":[{"id":"fast","value":"true"}],"displayName":"Fast","isDefault":true,"isMaxMode":true}]},{"id":"bare"}]}`)
	default:
		http.NotFound(w, r)
	}
}

// start serves f in memory and makes a client for it. Call it in a synctest bubble.
func start(t *testing.T, f *fakeCursor, cfg Config) *Client {
	l := memnet.Listen()
	server := &http.Server{Handler: f}
	go server.Serve(l)
	transport := l.Transport(nil)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	cfg.BackendBase, cfg.APIBase = "http://backend/", "http://api"
	cfg.HTTP = &http.Client{Transport: transport}
	return New(cfg)
}

var key = agent.NewSecret("key_123")

// number asks for a token and returns which one it is.
func number(t *testing.T, c *Client, key agent.Secret) string {
	t.Helper()
	token, err := c.Token(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token.Reveal(), ".")[1])
	n, _, _ := strings.Cut(strings.TrimPrefix(string(payload), `{"n":`), ",")
	return strings.TrimSuffix(n, "}")
}

func TestTokenIsExchangedOnceForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeCursor{delay: time.Second, life: time.Hour}
		c := start(t, f, Config{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { number(t, c, key) })
		}
		wg.Wait()
		number(t, c, agent.NewSecret("another"))
		if n := f.exchanges.Load(); n != 2 {
			t.Errorf("%d exchanges for two keys, want 2", n)
		}
	})
}

func TestTokenIsRefreshedBehindTheCallersBack(t *testing.T) {
	for _, tt := range []struct {
		name    string
		life    time.Duration
		refresh time.Duration // when the next token is asked for
	}{
		{"five minutes before the end", time.Hour, 55 * time.Minute},
		{"at half life when that is later", 6 * time.Minute, 3 * time.Minute},
		{"after half an hour when the end is unknown", 0, 30 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := start(t, &fakeCursor{life: tt.life}, Config{})
				want := func(n string) {
					t.Helper()
					if got := number(t, c, key); got != n {
						t.Errorf("%v: token %s, want %s", time.Now().Format(time.TimeOnly), got, n)
					}
				}
				want("1")
				time.Sleep(tt.refresh - time.Second)
				want("1")
				time.Sleep(time.Second)
				want("1") // and the refresh begins
				synctest.Wait()
				want("2")
			})
		})
	}
}

// A refresh takes a while, and everybody who comes meanwhile sees that it is due.
func TestOneRefreshIsUnderWayAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeCursor{delay: time.Second, life: time.Hour}
		c := start(t, f, Config{})
		number(t, c, key)
		time.Sleep(57 * time.Minute)
		for range 3 {
			if n := number(t, c, key); n != "1" {
				t.Errorf("token %s while it is refreshed, want the first", n)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if n := f.exchanges.Load(); n != 2 {
			t.Errorf("%d exchanges, want 2", n)
		}
	})
}

func TestTokenThatEndedIsNotGivenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, &fakeCursor{life: time.Hour, delay: time.Second}, Config{})
		number(t, c, key)
		time.Sleep(time.Hour)
		if got := number(t, c, key); got != "2" {
			t.Errorf("token %s, want 2", got)
		}
	})
}

func TestOldTokenIsKeptOverAPassingFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeCursor{life: time.Hour}
		c := start(t, f, Config{})
		number(t, c, key)
		time.Sleep(56 * time.Minute)
		f.refuseWith(503, "", "")
		for range 5 {
			if got := number(t, c, key); got != "1" {
				t.Errorf("token %s, want 1", got)
			}
			synctest.Wait()
		}
		f.refuseWith(0, "", "")
		time.Sleep(30 * time.Second)
		number(t, c, key)
		synctest.Wait()
		if got := number(t, c, key); got != "2" {
			t.Errorf("token %s after the back-off, want 2", got)
		}
	})
}

func TestKeyThatWasRevokedLosesItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeCursor{life: time.Hour}
		c := start(t, f, Config{})
		number(t, c, key)
		time.Sleep(56 * time.Minute)
		f.refuseWith(401, "", "")
		number(t, c, key) // begins the refresh
		synctest.Wait()
		if _, err := c.Token(t.Context(), key); agent.CodeOf(err) != agent.InvalidKey {
			t.Errorf("got %v, want invalid_key", err)
		}
	})
}

func TestDropForgetsOnlyTheTokenThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, &fakeCursor{life: time.Hour}, Config{})
		first, _ := c.Token(t.Context(), key)
		c.Drop(key, first)
		if got := number(t, c, key); got != "2" {
			t.Errorf("token %s after Drop, want 2", got)
		}
		c.Drop(key, first)
		if got := number(t, c, key); got != "2" {
			t.Errorf("token %s after Drop of an older one, want 2", got)
		}
	})
}

func TestWaitingForATokenEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeCursor{delay: 2 * time.Second, life: time.Hour}
		c := start(t, f, Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Token(ctx, key); agent.CodeOf(err) != agent.UpstreamTimeout {
			t.Errorf("got %v, want upstream_timeout", err)
		}
		number(t, c, key) // the exchange went on
		if n := f.exchanges.Load(); n != 1 {
			t.Errorf("%d exchanges, want 1", n)
		}
	})
}

func TestTokensAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, &fakeCursor{life: time.Hour}, Config{MaxKeys: 3, MaxIdle: 2 * time.Hour})
		for i := range 10 {
			number(t, c, agent.NewSecret(fmt.Sprint("key", i)))
			time.Sleep(time.Minute)
		}
		if n := len(c.tokens); n != 3 {
			t.Errorf("%d tokens, want 3", n)
		}
		if got := number(t, c, agent.NewSecret("key9")); got != "10" {
			t.Errorf("the key used last has token %s, want 10", got)
		}
		time.Sleep(3 * time.Hour)
		number(t, c, key)
		if n := len(c.tokens); n != 1 {
			t.Errorf("%d tokens after three idle hours, want 1", n)
		}
	})
}

func TestRefusalsBecomeErrorsThatHelp(t *testing.T) {
	for _, tt := range []struct {
		status       int
		header, body string
		want         string
		retryAfter   time.Duration
	}{
		{401, "", `{"error":{"code":"unauthenticated","message":"bad key_123"}}`, "invalid_key: The API key is not valid. Create one in the Cursor dashboard under Integrations.", 0},
		{402, "", `{"error":{"message":"Add a card"}}`, "payment_required: Add a card", 0},
		{403, "", `{"message":"not for key_123"}`, "permission_denied: not for [redacted]", 0},
		{429, "7", `{"error":"slow down"}`, "rate_limited: slow down", 7 * time.Second},
		{429, "Sat, 01 Jan 2000 00:01:00 GMT", ``, "rate_limited: Too many requests. Please wait and try again.", time.Minute},
		{500, "", `<html>`, "upstream: The upstream service failed.", 0},
		{503, "", ``, "overloaded: The server is overloaded. Please try again shortly.", 0},
		{404, "", ``, "not_configured: Cursor's address doesn't answer as expected. Check CURSOR_BACKEND_BASE_URL and CURSOR_API_BASE.", 0},
		{200, "", `{}`, "upstream: Cursor's answer holds no access token that can be sent.", 0},
		{200, "", `{"accessToken":"` + strings.Repeat("x", 20_000) + `"}`, "upstream: Cursor's answer holds no access token that can be sent.", 0},
		{200, "", `{"accessToken":"one\r\nX-Other: two"}`, "upstream: Cursor's answer holds no access token that can be sent.", 0},
		{200, "", `<html>`, "upstream: Cursor's answer can't be understood.", 0},
	} {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // whose clock begins at 2000-01-01
				f := &fakeCursor{}
				f.refuseWith(tt.status, tt.header, tt.body)
				c := start(t, f, Config{})
				_, err := c.Token(t.Context(), key)
				e := agent.AsError(err)
				if got := e.Code.String() + ": " + e.UserMessage(); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				if e.RetryAfter != tt.retryAfter {
					t.Errorf("RetryAfter %v, want %v", e.RetryAfter, tt.retryAfter)
				}
				if strings.Contains(err.Error(), key.Reveal()) {
					t.Errorf("the error holds the key: %v", err)
				}
			})
		})
	}
}

func TestHowLongToWait(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		header string
		want   time.Duration
	}{
		{"", 0}, {"soon", 0}, {"0", 0}, {"-5", 0}, {" 7 ", 7 * time.Second},
		{"1209600", 14 * 24 * time.Hour},
		{"20000000000", longestRetryAfter}, // a multiplication that overflows once made 49 years of it
		{"99999999999999999999", longestRetryAfter},
		{"Mon, 30 Nov 2026 12:00:30 GMT", 30 * time.Second},
		{"Mon, 30 Nov 2026 11:00:00 GMT", 0},
		{"Tue, 30 Nov 2027 12:00:00 GMT", longestRetryAfter},
	} {
		if got := RetryAfter(http.Header{"Retry-After": {tt.header}}, now); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.header, got, tt.want)
		}
	}
}

func TestUnreachableAndUnconfiguredBackends(t *testing.T) {
	closed := memnet.Listen()
	closed.Close()
	c := New(Config{BackendBase: "http://backend", HTTP: &http.Client{Transport: closed.Transport(nil)}})
	if _, err := c.Token(t.Context(), key); agent.CodeOf(err) != agent.Upstream {
		t.Errorf("unreachable: got %v", err)
	}
	if _, err := c.Token(t.Context(), agent.Secret{}); agent.CodeOf(err) != agent.MissingKey {
		t.Errorf("no key: got %v", err)
	}
	if _, err := New(Config{}).Token(t.Context(), key); agent.CodeOf(err) != agent.NotConfigured {
		t.Errorf("no base: got %v", err)
	}
}

func TestMeAndModelsAreAskedWithTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, &fakeCursor{}, Config{})
		me, err := c.Me(t.Context(), key)
		if err != nil || me.APIKeyName != "Bearer key_123" || me.UserID != "42" || me.UserEmail != "a@b.c" {
			t.Errorf("Me: %+v, %v", me, err)
		}
		models, err := c.Models(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		want := "[{composer-2.5 Composer 2.5  [composer] [{fast [{false} {true}]}] [{[{fast true}] Fast true true}]} {bare   [] [] []}]"
		if got := fmt.Sprint(models); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestAListWithoutModelsIsAnError(t *testing.T) {
	for body, want := range map[string]string{
		`{"items":[]}`: "", `{}`: "", `{"items":[{"id":""}]}`: "", `{"items":[{"id":""},{"id":"composer-2.5"}]}`: "composer-2.5",
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeCursor{}
			f.refuseWith(http.StatusOK, "", body)
			models, err := start(t, f, Config{}).Models(t.Context(), key)
			switch {
			case want == "" && agent.CodeOf(err) != agent.Upstream, want != "" && (err != nil || len(models) != 1 || models[0].ID != want):
				t.Errorf("%s: %v, %v", body, models, err)
			}
		})
	}
}

func FuzzExpiry(f *testing.F) {
	for _, s := range []string{"h.eyJleHAiOjk0NjY4ODQwMH0.s", "h.eyJleHAiOjk0NjY4ODQwMH0=.s", "", "a.b", "a..c", "h.eyJleHAiOjFlOTl9.s"} {
		f.Add(s)
	}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, token string) {
		expires, refresh := lifetime(token, now)
		if !refresh.After(now) || !expires.IsZero() && refresh.After(expires) {
			t.Errorf("%q: refresh at %v, ends at %v", token, refresh, expires)
		}
	})
}

// broken is a transport with a bug.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { panic("a bug") }

// The key is exchanged on a goroutine of its own, where nobody above could recover.
func TestAPanicInAnExchangeIsAnError(t *testing.T) {
	c := New(Config{BackendBase: "http://backend", HTTP: &http.Client{Transport: broken{}}})
	for range 2 { // nothing stays behind that the second would wait for
		if _, err := c.Token(t.Context(), key); agent.CodeOf(err) != agent.Internal || !strings.Contains(err.Error(), "a bug") {
			t.Errorf("error %v", err)
		}
	}
}
