package hosted_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
	"composer-api/internal/store/memstore"
	"composer-api/internal/store/seal"
)

// limitAccount gives the bench's account limits, by its operator.
func (b *bench) limitAccount(limits store.KeyLimits) {
	b.t.Helper()
	_, err := b.service.Operator("the test").LimitAccount(b.t.Context(), b.key.Account, func(l *store.KeyLimits) error {
		*l = limits
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// Of a key's limit and its account's, the one counts that is reached first, and the client is told of the one that leaves less.
func TestTheTighterOfTwoLimitsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, store.KeyLimits{RequestsPerMinute: 10, TokensPerMinute: 8})
		b.limitAccount(store.KeyLimits{RequestsPerMinute: 2, TokensPerMinute: 1000})
		began := time.Now()
		if err := b.turn("POST /v1/responses", "composer-2.5"); err != nil {
			t.Fatal(err)
		}
		want := []agent.RateLimit{{Of: "requests", Limit: 2, Remaining: 1, Reset: began}, {Of: "tokens", Limit: 8, Remaining: 8, Reset: began}}
		if diff := cmp.Diff(want, b.accepted.RateLimits); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if err := b.turn("POST /v1/responses", "composer-2.5"); err != nil {
			t.Fatal(err)
		}
		// Eight tokens are used by now, and two requests: both are over. The sentence is that of the key, which comes first.
		err := agent.AsError(b.turn("POST /v1/responses", "composer-2.5"))
		if err.Code != agent.RateLimited || err.Limit != "key_tokens" || err.RetryAfter != time.Minute || err.RateLimits[0].Limit != 2 || err.RateLimits[0].Remaining != 0 {
			t.Errorf("%+v", err)
		}
		b.limitAccount(store.KeyLimits{USDPerDay: 1e-9})
		time.Sleep(time.Minute)
		if err := b.turn("POST /v1/responses", "composer-2.5"); err != nil {
			t.Error(err)
		}
	})
}

// A key without limits is held to its account's, and so is one that was made later.
func TestALimitOfAnAccountHoldsForAllOfItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, store.KeyLimits{})
		b.limitAccount(store.KeyLimits{Concurrent: 1, Models: []string{"composer-2.5"}})
		if err := b.turn("POST /v1/responses", "composer-2"); agent.AsError(err).UserMessage() != `Your account may not use the model "composer-2". It may use: composer-2.5.` {
			t.Error(err)
		}
		b.hold = make(chan struct{})
		done := make(chan error)
		go func() { done <- b.turn("POST /v1/responses", "composer-2.5") }()
		synctest.Wait()
		// The owner may make a further key, which gets no further.
		token, _, err := b.service.AddOwnKey(t.Context(), b.key.Account, "another")
		if err != nil {
			t.Fatal(err)
		}
		b.token = token.Reveal()
		if err := agent.AsError(b.turn("POST /v1/responses", "composer-2.5")); err.Code != agent.RateLimited || err.Limit != "account_concurrent" {
			t.Errorf("%+v", err)
		}
		close(b.hold)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := b.turn("POST /v1/responses", "composer-2.5"); err != nil {
			t.Error(err)
		}
	})
}

// A process that is killed leaves a turn without an end: it holds its place for half a minute and no longer. One that lives
// holds its places however long the turns take, also when the database was away for a moment.
func TestTurnsOfADeadProcessHoldTheirPlacesForHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New(memstore.Config{})
		ring := seal.Random()
		process := func(name string) (*hosted.Service, *memstore.Store) {
			way := db.Open()
			return hosted.New(hosted.Config{Store: way, Ring: ring, Runner: name, Verify: func(context.Context, agent.Secret) (hosted.Person, error) {
				return hosted.Person{UserID: "user_1"}, nil
			}}), way
		}
		one, way := process("one")
		two, _ := process("two")
		up, err := one.SignUp(t.Context(), agent.NewSecret(adasKey), "")
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := one.AddKey(t.Context(), up.Account.ID, store.Key{Limits: store.KeyLimits{Concurrent: 1}})
		if err != nil {
			t.Fatal(err)
		}
		begin := func(s *hosted.Service) error {
			caller, err := s.Resolve(t.Context(), token.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.BeginRequest(t.Context(), &agent.Request{Caller: caller, Origin: agent.Origin{Endpoint: "POST /v1/responses"}})
			return err
		}
		alive, kill := context.WithCancel(t.Context())
		go one.KeepAlive(alive)
		synctest.Wait()
		if err := begin(one); err != nil {
			t.Fatal(err)
		}
		for range 60 { // an hour
			time.Sleep(time.Minute)
			if err := begin(two); agent.CodeOf(err) != agent.RateLimited {
				t.Fatalf("a turn that goes on was forgotten: %v", err)
			}
		}
		way.Away(true)
		time.Sleep(15 * time.Second)
		way.Away(false)
		time.Sleep(time.Minute)
		if err := begin(two); agent.CodeOf(err) != agent.RateLimited {
			t.Fatalf("after the database was away: %v", err)
		}
		// Killed: nothing is given back.
		way.Away(true)
		kill()
		synctest.Wait()
		time.Sleep(store.RunnerLease - time.Minute/6)
		died := time.Now()
		for begin(two) != nil {
			if time.Since(died) > store.RunnerLease {
				t.Fatal("a turn of a dead process holds its place for longer than the lease")
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
	})
}
