package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
)

// TestRateLimitHeaders: parts of a second are rounded up, because who comes back too early is refused again.
func TestRateLimitHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := http.Header{}
		SetRateLimits(h, []agent.RateLimit{
			{Of: "requests", Limit: 60, Remaining: 12, Reset: time.Now().Add(58200 * time.Millisecond)},
			{Of: "tokens", Limit: 1000, Reset: time.Now().Add(-time.Second)},
		})
		want := http.Header{
			"X-Ratelimit-Limit-Requests":             {"60"},
			"X-Ratelimit-Remaining-Requests":         {"12"},
			"X-Ratelimit-Reset-Requests":             {"59s"},
			"Anthropic-Ratelimit-Requests-Limit":     {"60"},
			"Anthropic-Ratelimit-Requests-Remaining": {"12"},
			"Anthropic-Ratelimit-Requests-Reset":     {"2000-01-01T00:00:59Z"},
			"X-Ratelimit-Limit-Tokens":               {"1000"},
			"X-Ratelimit-Remaining-Tokens":           {"0"},
			"X-Ratelimit-Reset-Tokens":               {"0s"},
			"Anthropic-Ratelimit-Tokens-Limit":       {"1000"},
			"Anthropic-Ratelimit-Tokens-Remaining":   {"0"},
			"Anthropic-Ratelimit-Tokens-Reset":       {"1999-12-31T23:59:59Z"},
		}
		if diff := cmp.Diff(want, h); diff != "" {
			t.Error(diff)
		}
		readable := strings.Split(RateLimitHeaders, ", ")
		for name := range h {
			if !slices.Contains(readable, strings.ToLower(name)) {
				t.Errorf("web pages can't read %s", name)
			}
		}
		if len(readable) != len(h) {
			t.Errorf("%d names for %d headers", len(readable), len(h))
		}
	})
}
