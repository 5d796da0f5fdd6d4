package usage_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/usage"
	"composer-api/internal/golden"
	"composer-api/internal/store"
	"composer-api/internal/store/memstore"
)

// ask asks for the turns of a key.
func ask(t *testing.T, logs usage.Logs, caller agent.Caller, query string) (string, error) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/usage/turns"+query, nil)
	err := usage.Routes(logs)[0].Handle(w, r, &api.Call{Caller: caller})
	if err == nil && (w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	return w.Body.String(), err
}

// logged is a store with four turns of two keys: the newest is under way.
func logged(t *testing.T) store.Store {
	t.Helper()
	begun := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	db := memstore.New(memstore.Config{Now: func() time.Time { return begun }}).Open()
	for _, key := range []string{"key_1", "key_2"} {
		if _, err := db.SignUp(t.Context(), store.Account{ID: "acct_1", Created: begun}, store.Key{ID: key, Account: "acct_1", Hash: [32]byte([]byte(strings.Repeat(key, 7))[:32]), Created: begun}, store.SignUpRule{}); err != nil {
			t.Fatal(err)
		}
	}
	rows := []store.RequestLog{
		{
			ID: "log_1", KeyID: "key_1", RequestID: "req_1", Model: "composer-2.5", Status: 200, InputTokens: 1000, CachedTokens: 250, OutputTokens: 50, ReasoningTokens: 20,
			CostUSD: .0125, Duration: 1500 * time.Millisecond, UpstreamRun: "run_1",
			Timeline: store.Timeline{Backend: "sdkbridge", Resume: "parked", Queue: 2 * time.Millisecond, Connect: 40 * time.Millisecond, FirstToken: 300 * time.Millisecond, ToolWait: time.Minute, Parked: true, Repairs: "json arguments"},
		},
		{ID: "log_2", KeyID: "key_2", RequestID: "req_2", Status: 200},
		{ID: "log_3", KeyID: "key_1", RequestID: "req_1", Status: 502, ErrorCode: "upstream", Duration: time.Second},
		{ID: "log_4", KeyID: "key_1", RequestID: "req_4"},
	}
	for i, l := range rows {
		l.Account, l.Endpoint, l.Created = "acct_1", "POST /v1/responses", begun.Add(time.Duration(i)*time.Second)
		if err := db.BeginRequest(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if l.Status == 0 {
			continue
		}
		if err := db.FinishRequest(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func TestAKeyListsItsTurnsNewestFirst(t *testing.T) {
	db, caller := logged(t), agent.Caller{Owner: "a:acct_1", KeyID: "key_1"}
	var all strings.Builder
	for _, query := range []string{"?limit=1", "?limit=1&after=log_4", "?after=log_3", "?request_id=req_1&limit=1", "?request_id=req_2"} {
		body, err := ask(t, db, caller, query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		all.WriteString(query + "\n" + body + "\n")
	}
	golden.File(t, "testdata/turns.golden", all.String())
}

func TestWhatCanNotBeListedIsSaid(t *testing.T) {
	db, caller := logged(t), agent.Caller{Owner: "a:acct_1", KeyID: "key_1"}
	for query, want := range map[string]agent.Code{"?limit=0": agent.InvalidValue, "?order=asc": agent.InvalidValue, "?after=log_2": agent.InvalidValue} {
		if body, err := ask(t, db, caller, query); agent.CodeOf(err) != want || body != "" {
			t.Errorf("%s: %v %s", query, err, body)
		}
	}
	if _, err := ask(t, db, agent.Caller{Owner: "k:1"}, ""); agent.CodeOf(err) != agent.NotFound || !strings.Contains(err.Error(), "hosted keys") {
		t.Errorf("a Cursor key: %v", err)
	}
	if body, err := ask(t, db, agent.Caller{Owner: "a:acct_1", KeyID: "key_3"}, ""); err != nil || !strings.Contains(body, `"data":[]`) {
		t.Errorf("a key without turns: %v %s", err, body)
	}
}
