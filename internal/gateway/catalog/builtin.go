package catalog

import (
	"time"

	"composer-api/internal/agent"
)

// What is compiled in: Composer's own models, their other names and their prices. A new model of
// Cursor's works without a change here, through the live catalogue; only its price is not known then.

const (
	// fastParam selects a model's tier. It is always sent: without it, upstream uses the catalogue's
	// default variant, which is the fast one at six times the price.
	fastParam = "fast"

	// defaultContextWindow is what composer-2.5's checkpoints report as max_tokens.
	defaultContextWindow = 200_000
)

// released is given as every model's creation time, which OpenAI's clients expect and Cursor's catalogue doesn't have.
// It is fixed, so that the same request has the same answer.
var released = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

// withFast is a model with an explicit tier.
func withFast(id, value string) agent.Model {
	return agent.Model{ID: id, Params: []agent.Param{{ID: fastParam, Value: value}}}
}

// builtin are Composer's own models. The first is the default.
//
// They are given by value and never changed: Builtin and Find hand out copies. Their parameters
// are shared, and Resolve copies those before it adds one.
var builtin = []Model{
	{ID: "composer-2.5", DisplayName: "Composer 2.5", Upstream: withFast("composer-2.5", "false"), ContextWindow: defaultContextWindow, Created: released},
	{ID: "composer-2.5-fast", DisplayName: "Composer 2.5 Fast", Upstream: withFast("composer-2.5", "true"), ContextWindow: defaultContextWindow, Created: released},
	{ID: "composer-2", DisplayName: "Composer 2", Upstream: withFast("composer-2", "false"), ContextWindow: defaultContextWindow, Created: released},
	{ID: "composer-2-fast", DisplayName: "Composer 2 Fast", Upstream: withFast("composer-2", "true"), ContextWindow: defaultContextWindow, Created: released},
}

// builtinAliases are other names of the builtin models. "auto" and "default" are what some clients
// send when nothing was chosen; Composer is the only model that every plan has. They come before
// the operator's aliases, so that nobody can give Composer's own names another meaning.
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

// builtinNamed finds a builtin model by its id or alias, in lower case.
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

// prices, by agent.Model.String, as Cursor publishes them. In US dollars for a million tokens;
// see agent.Price. A change of Cursor's prices needs a change here.
var prices = map[string]agent.Price{
	"composer-2.5;fast=false": {Input: 0.50, CacheWrite: 0.50, CacheRead: 0.20, Output: 2.50},
	"composer-2.5;fast=true":  {Input: 3.00, CacheWrite: 3.00, CacheRead: 0.50, Output: 15.00},
	"composer-2;fast=false":   {Input: 0.50, CacheWrite: 0.50, CacheRead: 0.20, Output: 2.50},
	"composer-2;fast=true":    {Input: 1.50, CacheWrite: 1.50, CacheRead: 0.35, Output: 7.50},
}

// Price is what model costs; zero when the price isn't known.
func Price(model agent.Model) agent.Price { return prices[model.String()] }
