package hosted_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
	"composer-api/internal/api/openai"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
	"composer-api/internal/store/memstore"
	"composer-api/internal/store/seal"
)

// A bench is a service whose one account has a key with limits, and a gateway that answers at once.
type bench struct {
	t       *testing.T
	service *hosted.Service
	db      store.Store
	turns   agent.Turner
	token   string
	key     store.Key

	usage agent.Usage   // that each turn has
	hold  chan struct{} // when not nil, a turn ends when this is closed

	mu       sync.Mutex // protects accepted
	accepted agent.Accepted
}

func newBench(t *testing.T, limits store.KeyLimits) *bench {
	b := &bench{t: t, db: memstore.New(memstore.Config{}).Open(), usage: agent.Usage{Input: 3, Output: 1}}
	b.service = hosted.New(hosted.Config{
		Store: b.db, Ring: seal.Random(),
		Verify: func(context.Context, agent.Secret) (hosted.Person, error) {
			return hosted.Person{UserID: "user_1"}, nil
		},
		Model: func(_ context.Context, _ agent.Caller, name, _ string) (agent.Model, error) {
			id, fast := strings.CutSuffix(name, "-fast")
			value := "false"
			if fast {
				value = "true"
			}
			return agent.Model{ID: id, Name: name, Params: []agent.Param{{ID: "fast", Value: value}}}, nil
		},
	})
	up, err := b.service.SignUp(t.Context(), agent.NewSecret(adasKey), "")
	if err != nil {
		t.Fatal(err)
	}
	token, key, err := b.service.AddKey(t.Context(), up.Account.ID, store.Key{Name: "laptop", Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	b.token, b.key = token.Reveal(), key
	b.turns = hosted.Record(agenttest.TurnerFunc(func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		if err := sink.Accept(agent.Accepted{Model: agent.Model{ID: "composer-2.5"}}); err != nil {
			return err
		}
		if b.hold != nil {
			<-b.hold
		}
		usage := b.usage
		return sink.Event(&agent.Event{Kind: agent.UsageKind, Usage: &usage})
	}), b.service, openai.Status)
	return b
}

// Accept implements agent.Sink: it keeps what the client was told.
func (b *bench) Accept(a agent.Accepted) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accepted = a
	return nil
}
func (b *bench) Event(*agent.Event) error { return nil }
func (b *bench) Flush() error             { return nil }

// turn carries out a turn with the key.
func (b *bench) turn(endpoint, model string) error {
	caller, err := b.service.Resolve(b.t.Context(), b.token)
	if err != nil {
		return err
	}
	return b.turns.Turn(b.t.Context(), &agent.Request{Caller: caller, ModelName: model, Origin: agent.Origin{Endpoint: endpoint}}, b)
}

// TestWhatAKeyMayBeUsedFor also shows that nothing but what is limited is refused.
func TestWhatAKeyMayBeUsedFor(t *testing.T) {
	for name, c := range map[string]struct {
		limits          store.KeyLimits
		endpoint, model string
		want            string // of the error; "" is none
	}{
		"no limits":        {endpoint: "POST /v1/responses", model: "composer-2.5-fast"},
		"surface":          {store.KeyLimits{Surfaces: []string{"chat", "messages"}}, "POST /u/{account}/v1/messages", "composer-2.5", ""},
		"another surface":  {store.KeyLimits{Surfaces: []string{"chat", "messages"}}, "POST /v1/responses", "composer-2.5", "Your key may not be used with this API. It may be used with: chat, messages."},
		"model":            {store.KeyLimits{Models: []string{"gpt-*", "composer-2.5*"}}, "POST /v1/responses", "composer-2.5-fast", ""},
		"another model":    {store.KeyLimits{Models: []string{"composer-2.5"}}, "POST /v1/responses", "composer-2", `Your key may not use the model "composer-2". It may use: composer-2.5.`},
		"a wrong pattern":  {store.KeyLimits{Models: []string{"["}}, "POST /v1/responses", "composer-2", `Your key may not use the model "composer-2". It may use: [.`},
		"the fast tier":    {store.KeyLimits{NoFast: true}, "POST /v1/responses", "composer-2.5-fast", `Your key may not use the fast tier. Ask for "composer-2.5".`},
		"the default tier": {store.KeyLimits{NoFast: true}, "POST /v1/responses", "composer-2.5", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := newBench(t, c.limits).turn(c.endpoint, c.model)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (agent.CodeOf(err) != agent.PermissionDenied || agent.AsError(err).UserMessage() != c.want):
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

// TestRequestsWithinAMinute: the window moves on, and the client sees what is left of it.
func TestRequestsWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, store.KeyLimits{RequestsPerMinute: 2, TokensPerMinute: 1000})
		began := time.Now()
		for i := range int64(2) {
			if err := b.turn("POST /v1/chat/completions", "composer-2.5"); err != nil {
				t.Fatal(err)
			}
			reset := time.Now()
			if i > 0 {
				reset = began.UTC().Add(time.Minute) // when the first request leaves
			}
			want := []agent.RateLimit{{Of: "requests", Limit: 2, Remaining: 1 - i, Reset: reset}, {Of: "tokens", Limit: 1000, Remaining: 1000 - 4*i, Reset: reset}}
			if diff := cmp.Diff(want, b.accepted.RateLimits); diff != "" {
				t.Error(diff)
			}
			time.Sleep(20 * time.Second)
		}
		err := b.turn("POST /v1/chat/completions", "composer-2.5")
		e := agent.AsError(err)
		if e.Code != agent.RateLimited || e.RetryAfter != 20*time.Second || len(e.RateLimits) != 2 || e.RateLimits[0].Remaining != 0 ||
			e.UserMessage() != "Your key has used 2 requests within a minute, and may use 2. Please try again in 20 seconds." {
			t.Errorf("%v, %v, %v", e, e.RetryAfter, e.RateLimits)
		}
		time.Sleep(e.RetryAfter)
		if err := b.turn("POST /v1/chat/completions", "composer-2.5"); err != nil {
			t.Errorf("after the time that the error said: %v", err)
		}
	})
}

// TestTokensWithinAMinute counts the whole prompt.
func TestTokensWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, store.KeyLimits{TokensPerMinute: 100})
		b.usage = agent.Usage{Input: 10, CacheRead: 80, Output: 20}
		if err := b.turn("POST /v1/messages", "composer-2.5"); err != nil {
			t.Fatal(err)
		}
		e := agent.AsError(b.turn("POST /v1/messages", "composer-2.5"))
		if e.Code != agent.RateLimited || e.Limit != "key_tokens" || e.RetryAfter != time.Minute {
			t.Errorf("%v, %v", e, e.RetryAfter)
		}
	})
}

// TestWhatAKeyMaySpend: it may spend again on the next day, and with a month's limit in the next month.
func TestWhatAKeyMaySpend(t *testing.T) {
	for name, c := range map[string]struct {
		limits store.KeyLimits
		want   string
		again  time.Duration // synctest's clock begins at midnight on the first of January
	}{
		"a day":   {store.KeyLimits{USDPerDay: 1}, "Your key has spent $1.25 today, and may spend $1.00. It can be used again tomorrow (UTC), or when the operator raises its limit.", 24 * time.Hour},
		"a month": {store.KeyLimits{USDPerMonth: 1}, "Your key has spent $1.25 this month, and may spend $1.00. It can be used again next month (UTC), or when the operator raises its limit.", 31 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, c.limits)
				b.usage = agent.Usage{Output: 500_000, Price: agent.Price{Output: 2.5}}
				if err := b.turn("POST /v1/messages", "composer-2.5"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.again - time.Second)
				e := agent.AsError(b.turn("POST /v1/messages", "composer-2.5"))
				if e.Code != agent.QuotaExceeded || e.UserMessage() != c.want {
					t.Errorf("%v", e)
				}
				time.Sleep(time.Second)
				if err := b.turn("POST /v1/messages", "composer-2.5"); err != nil {
					t.Errorf("later: %v", err)
				}
			})
		})
	}
}

// TestRequestsAtOnce: when one has ended there is room for another.
func TestRequestsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, store.KeyLimits{Concurrent: 2})
		b.hold = make(chan struct{})
		for range 2 {
			go b.turn("POST /v1/messages", "composer-2.5")
		}
		synctest.Wait()
		e := agent.AsError(b.turn("POST /v1/messages", "composer-2.5"))
		if e.Code != agent.RateLimited || e.UserMessage() != "Your key has 2 requests in progress, as many as it may have. Please try again when one is done." {
			t.Errorf("%v", e)
		}
		close(b.hold)
		synctest.Wait()
		if err := b.turn("POST /v1/messages", "composer-2.5"); err != nil {
			t.Error(err)
		}
	})
}

// TestOfTwoLimitsTheLaterCounts: who waits as long as the answer says must not be refused for the other limit then.
func TestOfTwoLimitsTheLaterCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, store.KeyLimits{Concurrent: 1, RequestsPerMinute: 1})
		b.hold = make(chan struct{})
		go b.turn("POST /v1/messages", "composer-2.5")
		synctest.Wait()
		e := agent.AsError(b.turn("POST /v1/messages", "composer-2.5"))
		if e.Limit != "key_requests" || e.RetryAfter != time.Minute {
			t.Errorf("limit %s, try again after %v", e.Limit, e.RetryAfter)
		}
		close(b.hold)
		time.Sleep(e.RetryAfter)
		if err := b.turn("POST /v1/messages", "composer-2.5"); err != nil {
			t.Error(err)
		}
	})
}

// TestLimitsAreChanged: at the key's next use, whoever changes them, and a new key keeps them.
func TestLimitsAreChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, store.KeyLimits{RequestsPerMinute: 1})
		b.key.Expires = time.Now().Add(time.Hour)
		b.key.Limits.Surfaces = []string{"chat"}
		if err := b.db.ChangeKey(t.Context(), b.key); err != nil {
			t.Fatal(err)
		}
		if err := b.turn("POST /v1/messages", "composer-2.5"); agent.CodeOf(err) != agent.PermissionDenied {
			t.Error(err)
		}
		_, next, err := b.service.Rotate(t.Context(), b.key.ID)
		if err != nil || next.Name != "laptop" || next.Limits.Surfaces[0] != "chat" || !next.Expires.Equal(b.key.Expires) {
			t.Errorf("%+v, %v", next, err)
		}
		token, _, err := b.service.AddKey(t.Context(), b.key.Account, store.Key{Expires: b.key.Expires})
		if err != nil {
			t.Fatal(err)
		}
		b.token = token.Reveal()
		if err := b.turn("POST /v1/messages", "composer-2.5"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		err = b.turn("POST /v1/messages", "composer-2.5")
		if agent.CodeOf(err) != agent.InvalidKey || !strings.Contains(agent.AsError(err).UserMessage(), "expired") {
			t.Error(err)
		}
	})
}

// TestNobodyGetsPastTheirLimitsWithAnotherKey: neither by signing up again nor by a further key. Their Cursor key stays, too.
func TestNobodyGetsPastTheirLimitsWithAnotherKey(t *testing.T) {
	for name, limited := range map[string]store.Key{
		"limits": {Limits: store.KeyLimits{Concurrent: 1}}, "an end": {Expires: time.Now().Add(time.Hour)}, "neither": {},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, store.KeyLimits{})
			b.key.Limits, b.key.Expires = limited.Limits, limited.Expires
			if err := b.db.ChangeKey(t.Context(), b.key); err != nil {
				t.Fatal(err)
			}
			want := agent.PermissionDenied
			if name == "neither" {
				want = 0
			}
			_, _, err := b.service.AddOwnKey(t.Context(), b.key.Account, "another")
			if agent.CodeOf(err) != want {
				t.Errorf("a further key: %v", err)
			}
			if _, err := b.service.SignUp(t.Context(), agent.NewSecret(adasKey), ""); agent.CodeOf(err) != want {
				t.Errorf("another sign-up: %v", err)
			}
			if _, _, err := b.service.AddKey(t.Context(), b.key.Account, store.Key{}); err != nil {
				t.Errorf("the operator's key: %v", err)
			}
		})
	}
}
