package setup

import "composer-api/internal/setup/configfile"

// codexProvider is a table of Codex's config.toml: developers.openai.com/codex/config-reference. A custom provider either
// names the variable of the key, or holds a token.
type codexProvider struct {
	// Name is what Codex shows. WireAPI is "responses".
	Name    string `json:"name"`
	BaseURL string `json:"base_url"`
	WireAPI string `json:"wire_api"`
	EnvKey  string `json:"env_key,omitempty"`
	// Codex calls it experimental. The way without it is a variable that has to be set in every
	// terminal.
	Token string `json:"experimental_bearer_token,omitempty"`
	// Our list of models in Codex's form; see package api/models.
	ModelCatalogURL string `json:"model_catalog_url"`
}

// codex: developers.openai.com/codex/config-reference. The provider's table is named "composer", and model_provider names it. The
// sandbox of the headless run is read-only: the task needs no more than cat.
var codex = Client{
	ID: "codex", Name: "Codex", programs: []string{"codex"},
	target: func(m *Machine, g *Gateway) target {
		provider := codexProvider{Name: "Composer", BaseURL: g.base(), WireAPI: "responses", ModelCatalogURL: g.base() + "/models"}
		if g.Token.IsZero() {
			provider.EnvKey = keyVariable
		} else {
			provider.Token = g.Token.Reveal()
		}
		return target{files: []file{{m.below("CODEX_HOME", ".codex", "config.toml"), configfile.TOML, []edit{
			set(g.model(), "model"),
			set("composer", "model_provider"),
			set(provider, "model_providers", "composer"),
		}}}}
	},
	headless: &headless{args: func(prompt string) []string {
		return []string{"exec", "--skip-git-repo-check", "--sandbox", "read-only", prompt}
	}},
}
