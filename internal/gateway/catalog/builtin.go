package catalog

import (
	"time"

	"composer-api/internal/agent"
)

const (
	// fastParam picks a model's tier. Leaving it out asks for the catalogue's default variant, which is the fast one
	// at six times the price: so it is always sent.
	fastParam = "fast"

	// defaultContextWindow is what composer-2.5's checkpoints report as max_tokens.
	defaultContextWindow = 200_000
)

// released stands in for a model's creation time, which Cursor's catalogue doesn't tell. It is fixed, so that the
// same question gets the same answer.
var released = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func withFast(id, value string) agent.Model {
	return agent.Model{ID: id, Params: []agent.Param{{ID: fastParam, Value: value}}}
}

// builtin are Composer's own models. The first is the default.
var builtin = []Model{
	{ID: "composer-2.5", DisplayName: "Composer 2.5", Upstream: withFast("composer-2.5", "false"), ContextWindow: defaultContextWindow, Created: released},
	{ID: "composer-2.5-fast", DisplayName: "Composer 2.5 Fast", Upstream: withFast("composer-2.5", "true"), ContextWindow: defaultContextWindow, Created: released},
	{ID: "composer-2", DisplayName: "Composer 2", Upstream: withFast("composer-2", "false"), ContextWindow: defaultContextWindow, Created: released},
	{ID: "composer-2-fast", DisplayName: "Composer 2 Fast", Upstream: withFast("composer-2", "true"), ContextWindow: defaultContextWindow, Created: released},
}

// builtinAliases are other names of the builtin models. "auto" and "default" are what some clients send when nothing
// was chosen; Composer is the only model that every plan has.
var builtinAliases = map[string]string{
	"composer":              "composer-2.5",
	"composer-latest":       "composer-2.5",
	"composer-2-5":          "composer-2.5",
	"composer-2.5-sdk":      "composer-2.5",
	"composer-2-5-fast":     "composer-2.5-fast",
	"composer-2.5-fast-sdk": "composer-2.5-fast",
	"auto":                  "composer-2.5",
	"default":               "composer-2.5",
}

func builtinNamed(name string) (Model, bool) {
	if id, ok := builtinAliases[name]; ok {
		name = id
	}
	for _, m := range builtin {
		if m.ID == name {
			return m, true
		}
	}
	return Model{}, false
}

// A price is in US dollars per million tokens.
type price struct{ input, cacheWrite, cacheRead, output float64 }

// prices, by agent.Model.String, as Cursor publishes them.
var prices = map[string]price{
	"composer-2.5;fast=false": {0.50, 0.50, 0.20, 2.50},
	"composer-2.5;fast=true":  {3.00, 3.00, 0.50, 15.00},
	"composer-2;fast=false":   {0.50, 0.50, 0.20, 2.50},
	"composer-2;fast=true":    {1.50, 1.50, 0.35, 7.50},
}

// Cost is what usage of model costs in US dollars; 0 when the price isn't known.
func Cost(model agent.Model, u agent.Usage) float64 {
	p := prices[model.String()]
	const million = 1e6
	return (float64(u.Input)*p.input + float64(u.CacheWrite)*p.cacheWrite + float64(u.CacheRead)*p.cacheRead + float64(u.Output)*p.output) / million
}
