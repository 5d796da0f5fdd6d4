package hosted

import (
	"fmt"
	"strings"
	"time"

	"composer-api/internal/store"
)

// Describe says what a key may, for people; "no limits" for one that may everything. Names of models are as somebody has
// typed them.
func Describe(k *store.Key) string {
	l := &k.Limits
	var parts []string
	add := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(len(l.Surfaces) > 0, "only %s", strings.Join(l.Surfaces, ", "))
	add(len(l.Models) > 0, "models %s", strings.Join(l.Models, ", "))
	add(l.NoFast, "not fast")
	add(l.Concurrent > 0, "%d at once", l.Concurrent)
	add(l.RequestsPerMinute > 0, "%d requests a minute", l.RequestsPerMinute)
	add(l.TokensPerMinute > 0, "%d tokens a minute", l.TokensPerMinute)
	add(l.USDPerDay > 0, "$%g a day", l.USDPerDay)
	add(l.USDPerMonth > 0, "$%g a month", l.USDPerMonth)
	add(!k.Expires.IsZero(), "until %sZ", k.Expires.UTC().Format(time.DateTime))
	if parts == nil {
		return "no limits"
	}
	return strings.Join(parts, "; ")
}
