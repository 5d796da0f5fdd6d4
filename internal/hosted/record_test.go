package hosted_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
	"composer-api/internal/api/openai"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sqlstore"
)

// say carries out a turn that costs something.
func say(sink agent.Sink) error {
	if err := sink.Accept(agent.Accepted{Model: agent.Model{ID: "composer-2.5"}}); err != nil {
		return err
	}
	return sink.Event(&agent.Event{Kind: agent.UsageKind, Usage: &agent.Usage{Input: 3, Output: 1}})
}

// TestTurnsOfHostedKeysAreWrittenDown also shows that those of a Cursor key are not.
func TestTurnsOfHostedKeysAreWrittenDown(t *testing.T) {
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: filepath.Join(t.TempDir(), "composer.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := hosted.New(hosted.Config{
		Store: db, Ring: seal.Random(),
		Verify: func(context.Context, agent.Secret) (hosted.Person, error) {
			return hosted.Person{UserID: "user_1"}, nil
		},
	})
	up, err := s.SignUp(t.Context(), agent.NewSecret(adasKey), "")
	if err != nil {
		t.Fatal(err)
	}
	fail := false
	turns := hosted.Record(agenttest.TurnerFunc(func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		if fail {
			return &agent.Error{Code: agent.UpstreamTimeout}
		}
		return say(sink)
	}), s, openai.Status)
	turn := func(token, requestID, endpoint string) error {
		caller := agent.Caller{Owner: "k:1", CursorKey: agent.NewSecret(token)}
		if strings.HasPrefix(token, keys.Prefix) {
			if caller, err = s.Resolve(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		return turns.Turn(t.Context(), &agent.Request{Caller: caller, Origin: agent.Origin{RequestID: requestID, Endpoint: endpoint}}, agenttest.Discard{})
	}
	for _, token := range []string{adasKey, up.Key.Reveal()} {
		if err := turn(token, "req_good", "POST /v1/chat/completions"); err != nil {
			t.Fatal(err)
		}
	}
	fail = true
	if err := turn(up.Key.Reveal(), "req_bad", "POST /u/{account}/v1/chat/completions"); agent.CodeOf(err) != agent.UpstreamTimeout {
		t.Error(err)
	}

	logs, err := db.ListRequests(t.Context(), store.RequestQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := []store.RequestLog{
		{RequestID: "req_bad", Endpoint: "POST /u/{account}/v1/chat/completions", Account: up.Account.ID, Status: 504, ErrorCode: "upstream_timeout"},
		{RequestID: "req_good", Endpoint: "POST /v1/chat/completions", Account: up.Account.ID, Status: 200, Model: "composer-2.5", InputTokens: 3, OutputTokens: 1},
	}
	byID := cmpopts.SortSlices(func(a, b store.RequestLog) bool { return a.RequestID < b.RequestID }) // times may be equal
	if diff := cmp.Diff(want, logs, byID, cmpopts.IgnoreFields(store.RequestLog{}, "ID", "KeyID", "Created", "Duration", "Timeline")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
