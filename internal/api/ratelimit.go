package api

import (
	"net/http"
	"strconv"
	"time"

	"composer-api/internal/agent"
)

// RateLimitHeaders are the names of the headers that SetRateLimits sets, for web pages that are to read them (CORS).
const RateLimitHeaders = "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, " +
	"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, " +
	"anthropic-ratelimit-requests-limit, anthropic-ratelimit-requests-remaining, anthropic-ratelimit-requests-reset, " +
	"anthropic-ratelimit-tokens-limit, anthropic-ratelimit-tokens-remaining, anthropic-ratelimit-tokens-reset"

// SetRateLimits sets the headers that say what limits a key has and what is left of them, in OpenAI's form and in
// Anthropic's, whichever the surface: clients read those that they know. nil sets nothing.
//
//	x-ratelimit-remaining-requests: 12          anthropic-ratelimit-requests-remaining: 12
//	x-ratelimit-reset-requests: 1m0s            anthropic-ratelimit-requests-reset: 2026-11-30T12:00:00Z
//
// Both sources: developers.openai.com/api/docs/guides/rate-limits and docs.anthropic.com/en/api/rate-limits.
func SetRateLimits(h http.Header, limits []agent.RateLimit) {
	for _, l := range limits {
		limit, remaining := strconv.FormatInt(l.Limit, 10), strconv.FormatInt(l.Remaining, 10)
		h.Set("X-Ratelimit-Limit-"+l.Of, limit)
		h.Set("X-Ratelimit-Remaining-"+l.Of, remaining)
		// Whole seconds, rounded up: who comes back a moment too early is refused again.
		h.Set("X-Ratelimit-Reset-"+l.Of, max(0, time.Until(l.Reset)+time.Second-1).Truncate(time.Second).String())
		h.Set("Anthropic-Ratelimit-"+l.Of+"-Limit", limit)
		h.Set("Anthropic-Ratelimit-"+l.Of+"-Remaining", remaining)
		h.Set("Anthropic-Ratelimit-"+l.Of+"-Reset", l.Reset.UTC().Add(time.Second-1).Truncate(time.Second).Format(time.RFC3339))
	}
}
