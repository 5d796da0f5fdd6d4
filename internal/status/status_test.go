package status

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/watch"
)

// ended is a turn with a million tokens in, half of them from the cache, and a thousand out.
func ended(err error) *watch.Turn {
	return &watch.Turn{Err: err, Usage: agent.Usage{
		Input: 500_000, CacheRead: 500_000, Output: 1000, Price: agent.Price{Input: 1, CacheRead: 0.5, Output: 1000},
	}}
}

func TestTodayBeginsAnewAtMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		today := NewToday()
		began := time.Now()
		today.TurnEnded(t.Context(), ended(nil))
		today.TurnEnded(t.Context(), ended(errors.New("failed")))
		want := Tally{From: began, Turns: 2, Failed: 1, Input: 2_000_000, Cached: 1_000_000, Output: 2000, CostUSD: 3.5}
		if got := today.Tally(); got != want {
			t.Errorf("today is %+v, want %+v", got, want)
		}
		time.Sleep(25 * time.Hour) // in the bubble
		now := time.Now()
		midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
		if got := today.Tally(); got != (Tally{From: midnight}) {
			t.Errorf("the next day is %+v", got)
		}
		today.TurnEnded(t.Context(), ended(nil))
		if got := today.Tally(); got.Turns != 1 || got.From != midnight {
			t.Errorf("after a turn, the next day is %+v", got)
		}
	})
}

// reporter is one whose gateway is in the state that the report says.
func reporter(token agent.Secret, open bool, reachable error) *Reporter {
	return New(Config{
		Version: "v1", Upstreams: []string{"demo"}, Token: token, Open: open, Today: NewToday(),
		Live:      func() Report { return Report{Turns: 3, Parked: 1, Oldest: 1.5} },
		Reachable: func(context.Context) error { return reachable },
	})
}

// serve answers GET /status as httpd would, with the status of an *agent.Error reduced to what Ask tells apart.
func serve(t *testing.T, r *Reporter) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/status" {
			http.NotFound(w, req)
			return
		}
		if err := r.Routes()[0].Handle(w, req, nil); agent.CodeOf(err) == agent.InvalidKey {
			w.WriteHeader(http.StatusUnauthorized)
		} else if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestWhoHasTheTokenIsTold(t *testing.T) {
	token := agent.NewSecret("composer-right")
	for _, test := range []struct {
		name string
		has  agent.Secret // the gateway's
		open bool
		sent agent.Secret
		want error
	}{
		{"the token", token, false, token, nil},
		{"another", token, false, agent.NewSecret("composer-wrong"), ErrWrongToken},
		{"none", token, false, agent.Secret{}, ErrWrongToken},
		{"a gateway without a token", agent.Secret{}, false, agent.Secret{}, ErrWrongToken},
		{"the demo", agent.Secret{}, true, agent.Secret{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := serve(t, reporter(test.has, test.open, nil))
			report, err := Ask(t.Context(), http.DefaultClient, root, test.sent)
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if err == nil && (report.Turns != 3 || report.Parked != 1 || report.Oldest != 1.5 || report.Version != "v1" || report.Upstream != "ok" || report.Since.IsZero()) {
				t.Errorf("the report is %+v", report)
			}
		})
	}
}

func TestTheUpstreamsStateIsTold(t *testing.T) {
	for want, err := range map[string]error{
		"ok": nil, "unreachable": &agent.Error{Code: agent.Upstream}, "not_configured": &agent.Error{Code: agent.NotConfigured},
	} {
		if got := reporter(agent.Secret{}, true, err).report(t.Context()).Upstream; got != want {
			t.Errorf("%v is told as %q, want %q", err, got, want)
		}
	}
}

// What listens there may be anything.
func TestWhoTellsNoStatusIsNamed(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a web site":        func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"another program":   func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) },
		"an older composer": http.NotFound,
	} {
		server := httptest.NewServer(handler)
		if _, err := Ask(t.Context(), http.DefaultClient, server.URL, agent.Secret{}); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
		if _, err := Ask(t.Context(), http.DefaultClient, server.URL, agent.Secret{}); !errors.Is(err, ErrNobody) {
			t.Errorf("nobody: %v", err)
		}
	}
}

// FuzzDecode reads what any program may answer.
func FuzzDecode(f *testing.F) {
	report, err := json.Marshal(reporter(agent.Secret{}, true, nil).report(f.Context()))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(report), "", "{}", `{"version":1}`, `{"version":"v","today":{"turns":1e99}}`, "<html>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		report, err := decode(strings.NewReader(text), "http://127.0.0.1:1")
		if (err == nil) != (report != nil) || err != nil && !errors.Is(err, ErrUnknown) {
			t.Errorf("%v, %v", report, err)
		}
	})
}
