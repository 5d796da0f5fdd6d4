package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"composer-api/internal/api/admin"
	"composer-api/internal/config"
	"composer-api/internal/pages"
	"composer-api/internal/store"
)

// The limits of this gateway in words, for the pages and the admin API. What enforces them is elsewhere: httpd, gateway/control,
// hosted and the store.

// limitsOf are what the settings allow, each with the variable that changes it. They don't change while the process runs.
func limitsOf(c *config.Config) []pages.Figure {
	// The store's limits are no settings; serve uses the defaults.
	kept := store.Limits{}.WithDefaults()
	return []pages.Figure{
		{Name: "Turns at once", Value: limit(c.MaxRequests, "in all"), Setting: "COMPOSER_MAX_REQUESTS"},
		{Name: "Turns at once with one key", Value: limit(c.MaxPerKey, ""), Setting: "COMPOSER_MAX_REQUESTS_PER_KEY", OfKey: true},
		{Name: "A key, each day (UTC)", Value: budget(c.KeyMaxCost, c.KeyMaxTokens, c.KeyMaxTurns), Setting: "COMPOSER_KEY_MAX_COST, _TOKENS, _TURNS", OfKey: true},
		{Name: "A conversation", Value: budget(c.MaxCost, c.MaxTokens, c.MaxTurns), Setting: "COMPOSER_MAX_COST, _TOKENS, _TURNS"},
		{Name: "New accounts", Value: c.Signup, Setting: "COMPOSER_SIGNUP"},
		{Name: "Sign-ups from one address", Value: limit(c.SignupLimit, "an hour"), Setting: "COMPOSER_SIGNUP_LIMIT"},
		{Name: "A parked run waits", Value: inWords(c.ParkTimeout), Setting: "COMPOSER_PARK_TIMEOUT"},
		{Name: "Kept for one owner", Value: fmt.Sprintf("%d MiB and %d of responses, of conversations and of documents; over that, the oldest go", kept.OwnerBytes>>20, kept.OwnerRows)},
		{Name: "Log of hosted keys", Value: fmt.Sprintf("%d days", int(kept.LogAge.Hours()/24))},
	}
}

// adminLimits are the same for the admin API.
func adminLimits(figures []pages.Figure) []admin.Limit {
	// OfKey is left out: the admin API has no page of a single key.
	limits := make([]admin.Limit, len(figures))
	for i, f := range figures {
		limits[i] = admin.Limit{Name: f.Name, Value: f.Value, Setting: f.Setting}
	}
	return limits
}

// noLimit is what is said of a setting that is 0.
const noLimit = "no limit"

// inWords is a duration as the settings have it: 10m, and not 10m0s.
func inWords(d time.Duration) string {
	s := d.String()
	for _, nothing := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, nothing) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// limit is a number with what it is of.
func limit(n int, of string) string {
	if n == 0 {
		return noLimit
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", n, of))
}

// budget is what may be spent, of which each part may have no limit.
func budget(usd float64, tokens int64, turns int) string {
	var parts []string
	if usd > 0 {
		parts = append(parts, fmt.Sprintf("$%g", usd))
	}
	if tokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens", tokens))
	}
	if turns > 0 {
		parts = append(parts, fmt.Sprintf("%d turns", turns))
	}
	return cmp.Or(strings.Join(parts, ", "), noLimit)
}
