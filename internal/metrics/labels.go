package metrics

import (
	"cmp"
	"slices"
	"sync"

	"composer-api/internal/agent"
)

// other is the value of a label for what isn't known.
const other = "other"

// surfaceOf is the label of a route's surface.
func surfaceOf(o *agent.Origin) string { return cmp.Or(o.Surface(), other) }

// limitNames are the limits that may be reached: agent.Error.Limit.
var limitNames = []string{"max_requests", "max_requests_per_key", "budget", "signup", "key_concurrent", "key_requests", "key_tokens", "key_cost_day", "key_cost_month",
	"account_concurrent", "account_requests", "account_tokens", "account_cost_day", "account_cost_month"}

// limitName is a limit's label.
//
// A limit that is not in limitNames is counted under "other", so a new one is added there.
func limitName(limit string) string {
	if slices.Contains(limitNames, limit) {
		return limit
	}
	return other
}

// endings are why a parked run may end without tool results: the causes of package park.
var endings = []string{"expired", "displaced", "superseded", "closed"}

// maxModels is how many models have a label of their own. Cursor lists a few dozen.
const maxModels = 60

// names are the models that have a label, in the order in which upstream has first accepted a turn with them. Who asks for
// models that don't exist adds none, and when there are maxModels, each further one is "other".
//
// They are never forgotten: a label that came and went would break a graph in two.
type names struct {
	// mu guards known, which has maxModels at most.
	mu    sync.Mutex
	known map[string]bool
}

// newNames makes an empty list.
func newNames() *names { return &names{known: map[string]bool{}} }

// of is the label of a model that upstream has accepted.
//
// The name is that of the catalogue, as clients ask for it, and else upstream's id.
func (n *names) of(m agent.Model) string {
	name := m.Name
	if name == "" {
		name = m.ID
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case name == "":
		return other
	case n.known[name]:
	case len(n.known) >= maxModels:
		return other
	default:
		n.known[name] = true
	}
	return name
}
