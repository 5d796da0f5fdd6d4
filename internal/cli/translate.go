package cli

import (
	"context"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/config"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/gateway/control"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/httpd"
)

// What one package says in the words of another. Packages that must not know each other (settings and catalogue, Cursor's
// answers about a key and hosted accounts) meet here: each function takes a value of the one and gives a value of the other,
// and does nothing else.

// bounds are the settings as the decoder takes them.
func bounds(r *config.Requests) openai.Bounds {
	return openai.Bounds{
		Values: r.MaxValues, Messages: r.MaxMessages, Items: r.MaxItems, Parts: r.MaxParts, Tools: r.MaxTools, Calls: r.MaxCalls,
		Schema: r.MaxSchemaBytes,
	}
}

// controls are the settings as the gateway takes them.
func controls(c *config.Controls) control.Config {
	// 0 means "no limit" on both sides, so nothing has to be translated but the names.
	return control.Config{
		MaxRepeats: c.MaxRepeatedCalls, RepairNarrated: c.RepairNarrated, System: control.SystemMode(c.SystemPrompt),
		Conversation: control.Budget{CostUSD: c.MaxCost, Tokens: c.MaxTokens, Turns: c.MaxTurns},
		Key:          control.Budget{CostUSD: c.KeyMaxCost, Tokens: c.KeyMaxTokens, Turns: c.KeyMaxTurns},
	}
}

// aliases translates the setting into the catalogue's type: package config doesn't know the catalogue.
func aliases(all config.Aliases) []catalog.Alias {
	var list []catalog.Alias
	for _, a := range all {
		list = append(list, catalog.Alias(a))
	}
	return list
}

// verify asks Cursor who a key belongs to, for sign-up. Errors are *agent.Error: a bad key, or that Cursor can't be reached.
//
// It shows the key to Cursor's public API and to nobody else.
func verify(auth *auth.Client) func(context.Context, agent.Secret) (hosted.Person, error) {
	return func(ctx context.Context, key agent.Secret) (hosted.Person, error) {
		me, err := auth.Me(ctx, key)
		if err != nil {
			return hosted.Person{}, err
		}
		return hosted.Person{
			UserID: string(me.UserID), Email: me.UserEmail, FirstName: me.UserFirstName, LastName: me.UserLastName, KeyName: me.APIKeyName,
		}, nil
	}
}

// identify finds out who sends a key by the way of a page's form: as httpd does for a header.
//
// A hosted key is looked up; anything else has to look like a Cursor key, which is not checked with
// Cursor here. The first request with it finds out.
func identify(people *hosted.Service) func(context.Context, string) (agent.Caller, error) {
	return func(ctx context.Context, key string) (agent.Caller, error) {
		// A key that was pasted into a form has a line break at its end, often.
		if strings.HasPrefix(strings.TrimSpace(key), keys.Prefix) {
			return people.Resolve(ctx, strings.TrimSpace(key))
		}
		own, err := hosted.ParseCursorKey(key)
		if err != nil {
			return agent.Caller{}, err
		}
		return httpd.DirectCaller(own.Reveal()), nil
	}
}

// A fetchModels asks upstream for the models that a key may use. Errors are *agent.Error.
type fetchModels = func(context.Context, agent.Secret) ([]catalog.Listed, error)

// modelsFrom translates the models of package auth into those of package catalog, which don't know each
// other.
//
// It is called by the catalogue, from any goroutine, with the caller's own key.
func modelsFrom(auth *auth.Client) fetchModels {
	return func(ctx context.Context, key agent.Secret) ([]catalog.Listed, error) {
		models, err := auth.Models(ctx, key)
		if err != nil {
			return nil, err
		}
		var listed []catalog.Listed
		for _, m := range models {
			// The two types have the same fields today. Each package may change its own.
			l := catalog.Listed{ID: m.ID, DisplayName: m.DisplayName, Description: m.Description, Aliases: m.Aliases}
			for _, p := range m.Parameters {
				parameter := catalog.Parameter{ID: p.ID}
				for _, v := range p.Values {
					parameter.Values = append(parameter.Values, v.Value)
				}
				l.Parameters = append(l.Parameters, parameter)
			}
			for _, v := range m.Variants {
				l.Variants = append(l.Variants, catalog.Variant{Params: v.Params, MaxMode: v.IsMaxMode})
			}
			listed = append(listed, l)
		}
		return listed, nil
	}
}
