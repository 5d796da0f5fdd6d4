package catalog

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
)

func live() []Listed {
	return []Listed{
		{ID: "composer-2.5", DisplayName: "Composer 2.5", Parameters: []Parameter{{ID: "fast", Values: []string{"false", "true"}}}},
		{ID: "gpt-9", DisplayName: "GPT 9", Aliases: []string{"gpt-latest"}, Parameters: []Parameter{{ID: "effort", Values: []string{"low", "high"}}}},
	}
}

func fetchLive(context.Context, agent.Secret) ([]Listed, error) { return live(), nil }

func TestResolveAsksForTheTierExplicitly(t *testing.T) {
	c := New(Config{Fetch: fetchLive})
	for _, tc := range []struct{ name, effort, want string }{
		{"composer-2.5", "", "composer-2.5;fast=false"},
		{"composer-2.5-fast", "", "composer-2.5;fast=true"},
		{"composer", "", "composer-2.5;fast=false"},
		{"composer-latest", "high", "composer-2.5;fast=false"},
		{"composer-2-5", "", "composer-2.5;fast=false"},
		{"composer-2.5-sdk", "", "composer-2.5;fast=false"},
		{"cursorsdk/composer-2.5-sdk", "", "composer-2.5;fast=false"},
		{"cursor/composer-2.5", "", "composer-2.5;fast=false"},
		{"cursor/composer-2.5-fast", "", "composer-2.5;fast=true"},
		{"auto", "", "composer-2.5;fast=false"},
		{"default", "", "composer-2.5;fast=false"},
		{"composer-2", "", "composer-2;fast=false"},
		{"composer-2-fast", "", "composer-2;fast=true"},
		{"gpt-9", "", "gpt-9"},
		{"gpt-latest", "high", "gpt-9;effort=high"},
		{"any/gpt-latest", "none", "gpt-9"},
	} {
		got, err := c.Resolve(t.Context(), agent.Caller{Owner: "o"}, tc.name, tc.effort)
		if err != nil || got.String() != tc.want {
			t.Errorf("Resolve(%q, %q) = %q, %v; want %q", tc.name, tc.effort, got, err, tc.want)
		}
	}
}

func TestUnknownModelIsNotFound(t *testing.T) {
	for name, c := range map[string]*Catalog{"live": New(Config{Fetch: fetchLive}), "without a live catalogue": New(Config{})} {
		_, err := c.Resolve(t.Context(), agent.Caller{Owner: "o"}, "gpt-2", "")
		if e := agent.AsError(err); e.Code != agent.ModelNotFound || e.Param != "model" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListSplitsTiers(t *testing.T) {
	models, err := New(Config{Fetch: fetchLive}).List(t.Context(), agent.Caller{Owner: "o"})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range models {
		ids = append(ids, m.ID+" = "+m.Upstream.String())
	}
	want := []string{"composer-2.5 = composer-2.5;fast=false", "composer-2.5-fast = composer-2.5;fast=true", "gpt-9 = gpt-9"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
}

func TestAModelThatIsListedIsNotMadeUp(t *testing.T) {
	fast := []Parameter{{ID: "fast", Values: []string{"false", "true"}}}
	models, _ := fromListed([]Listed{{ID: "m", Parameters: fast}, {ID: "m-fast"}})
	if len(models) != 2 || models[1].Upstream.String() != "m-fast" {
		t.Errorf("%+v", models)
	}
}

func TestAListThatCanNotBeFetchedIsAnError(t *testing.T) {
	for want, err := range map[agent.Code]error{
		agent.Upstream:   context.DeadlineExceeded,
		agent.InvalidKey: &agent.Error{Code: agent.InvalidKey},
	} {
		c := New(Config{Fetch: func(context.Context, agent.Secret) ([]Listed, error) { return nil, err }})
		if models, err := c.List(t.Context(), agent.Caller{}); agent.CodeOf(err) != want || models != nil {
			t.Errorf("%d models, %v", len(models), err)
		}
	}
}

func TestFetchIsSharedCachedAndRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetched atomic.Int32
		c := New(Config{TTL: time.Minute, MaxOwners: 2, Fetch: func(context.Context, agent.Secret) ([]Listed, error) {
			fetched.Add(1)
			time.Sleep(time.Second)
			return live(), nil
		}})
		list := func(owner string) {
			if _, err := c.List(t.Context(), agent.Caller{Owner: owner}); err != nil {
				t.Error(err)
			}
		}
		for range 10 {
			go list("a")
		}
		list("a")
		synctest.Wait()
		if n := fetched.Load(); n != 1 {
			t.Errorf("eleven requests at once: %d fetches, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		list("a")
		if n := fetched.Load(); n != 2 {
			t.Errorf("after the TTL: %d fetches, want 2", n)
		}
		list("b")
		list("c")
		if n := len(c.lists); n != 2 {
			t.Errorf("%d lists kept, want 2", n)
		}
	})
}

// After the TTL everybody waits for one fetch. A fetch that fails late takes nothing away from the one after it.
func TestOneRefreshIsUnderWayAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetched atomic.Int32
		c := New(Config{TTL: time.Second, Fetch: func(context.Context, agent.Secret) ([]Listed, error) {
			if fetched.Add(1) == 1 {
				time.Sleep(1500 * time.Millisecond)
				return nil, &agent.Error{Code: agent.Upstream}
			}
			time.Sleep(900 * time.Millisecond)
			return live(), nil
		}})
		list := func() { c.List(t.Context(), agent.Caller{}) }
		go list() // fails after 1.5 s
		time.Sleep(1100 * time.Millisecond)
		go list() // begins again
		go list()
		time.Sleep(600 * time.Millisecond)
		list() // joins the second
		if n := fetched.Load(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestListsAreBoundedInBytes(t *testing.T) {
	c := New(Config{MaxBytes: 25_000, Fetch: func(context.Context, agent.Secret) ([]Listed, error) {
		return []Listed{{ID: "m", Description: strings.Repeat("x", 10_000)}}, nil
	}})
	for _, owner := range []string{"a", "b", "c"} {
		if models, err := c.List(t.Context(), agent.Caller{Owner: owner}); err != nil || len(models) != 1 {
			t.Errorf("%s: %v, %v", owner, models, err)
		}
	}
	if len(c.lists) != 2 || c.lists["a"] != nil {
		t.Errorf("%d lists are kept", len(c.lists))
	}
}

func TestPrice(t *testing.T) {
	u := agent.Usage{Input: 1_000_000, CacheRead: 1_000_000, CacheWrite: 1_000_000, Output: 1_000_000}
	for model, want := range map[string]float64{"false": 3.70, "true": 21.50} {
		u.Price = Price(withFast("composer-2.5", model))
		if got := u.CostUSD(); got != want {
			t.Errorf("fast=%s: %v, want %v", model, got, want)
		}
	}
	if got := Price(agent.Model{ID: "gpt-9"}); got != (agent.Price{}) {
		t.Errorf("unknown price: %v", got)
	}
}

func TestMaxModeIsAskedForWhenEveryVariantThatFitsNeedsIt(t *testing.T) {
	variant := func(effort string, maxMode bool) Variant {
		return Variant{Params: []agent.Param{{ID: "effort", Value: effort}}, MaxMode: maxMode}
	}
	c := New(Config{Fetch: func(context.Context, agent.Secret) ([]Listed, error) {
		return []Listed{
			{ID: "thinker", Parameters: []Parameter{{ID: "effort", Values: []string{"low", "high"}}}, Variants: []Variant{variant("low", false), variant("high", true)}},
			{ID: "large", Variants: []Variant{{MaxMode: true}}},
			{ID: "plain"},
		}, nil
	}})
	for _, tt := range []struct {
		name, effort string
		want         bool
	}{
		{"thinker", "", false}, {"thinker", "low", false}, {"thinker", "high", true}, {"large", "", true},
		{"plain", "", false}, {"composer-2.5", "", false},
	} {
		m, err := c.Resolve(t.Context(), agent.Caller{Owner: "o"}, tt.name, tt.effort)
		if err != nil || m.MaxMode != tt.want {
			t.Errorf("%s with effort %q: max mode %v, %v", tt.name, tt.effort, m.MaxMode, err)
		}
	}
}

// The list is fetched on a goroutine of its own, where nobody above could recover. Whoever waits gets the error, and the
// next request asks again.
func TestAPanicInAFetchIsAnError(t *testing.T) {
	panicking := true
	c := New(Config{Fetch: func(context.Context, agent.Secret) ([]Listed, error) {
		if panicking {
			panic("a bug")
		}
		return live(), nil
	}})
	for range 2 {
		if _, err := c.Find(t.Context(), agent.Caller{Owner: "o"}, "gpt-9"); agent.CodeOf(err) != agent.Internal || !strings.Contains(err.Error(), "a bug") {
			t.Errorf("error %v", err)
		}
	}
	panicking = false
	if _, err := c.Find(t.Context(), agent.Caller{Owner: "o"}, "gpt-9"); err != nil {
		t.Error(err)
	}
}
