package httpd_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"composer-api/internal/agent"
	"composer-api/internal/hosted"
	"composer-api/internal/httpd"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sqlstore"
)

// TestTurnsOfHostedKeysAreWrittenDown also shows that those of a Cursor key are not.
func TestTurnsOfHostedKeysAreWrittenDown(t *testing.T) {
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: filepath.Join(t.TempDir(), "composer.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	hosted := hosted.New(hosted.Config{
		Store: db, Ring: seal.Random(),
		Verify: func(context.Context, agent.Secret) (hosted.Person, error) {
			return hosted.Person{UserID: "user_1"}, nil
		},
	})
	up, err := hosted.SignUp(t.Context(), agent.NewSecret("crsr_0123456789abcdefghijklmnopqrstuvwxyz"))
	if err != nil {
		t.Fatal(err)
	}
	fail := false
	s := newServer(httpd.Config{
		ResolveKey: hosted.Resolve,
		Turns: httpd.Record(turns(func(ctx context.Context, req *agent.Request, sink agent.Sink) error {
			if fail {
				return &agent.Error{Code: agent.UpstreamTimeout}
			}
			return say(sink, "ok")
		}), hosted),
	})
	for _, token := range []string{key, up.Key.Reveal()} {
		header := withKey(token)
		header.Set("X-Request-Id", "req_good")
		if w := do(t, s, exchange{"POST /v1/chat/completions", header, hello}); w.Code != 200 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	fail = true
	header := withKey(up.Key.Reveal())
	header.Set("X-Request-Id", "req_bad")
	do(t, s, exchange{"POST /u/" + up.Account.ID + "/v1/chat/completions", header, hello})

	logs, err := db.ListRequests(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	want := []store.RequestLog{
		{RequestID: "req_bad", Endpoint: "POST /u/{account}/v1/chat/completions", Account: up.Account.ID, Status: 504, ErrorCode: "upstream_timeout"},
		{RequestID: "req_good", Endpoint: "POST /v1/chat/completions", Account: up.Account.ID, Status: 200, Model: "composer-2.5", InputTokens: 3, OutputTokens: 1},
	}
	byID := cmpopts.SortSlices(func(a, b store.RequestLog) bool { return a.RequestID < b.RequestID }) // times may be equal
	if diff := cmp.Diff(want, logs, byID, cmpopts.IgnoreFields(store.RequestLog{}, "ID", "KeyID", "Created", "Duration")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
