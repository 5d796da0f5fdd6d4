package setup

import (
	"path/filepath"

	"composer-api/internal/setup/configfile"
)

// Clients of the terminal whose files are JSON.

// crush: charm.land/crush.json is its schema. $NAME in its values is a variable.
//
// Its "large" model does the work and its "small" one writes titles; both are ours, because a model
// of another provider needs another key.
var crush = Client{
	ID: "crush", Name: "Crush", programs: []string{"crush"},
	target: func(m *Machine, g *Gateway) target {
		type model struct {
			ID   string `json:"id"`
			Name string `json:"name"`
			// Dollars, which its schema requires; 0, because the gateway counts what a turn costs.
			CostIn              int  `json:"cost_per_1m_in"`
			CostOut             int  `json:"cost_per_1m_out"`
			CostInCached        int  `json:"cost_per_1m_in_cached"`
			CostOutCached       int  `json:"cost_per_1m_out_cached"`
			ContextWindow       int  `json:"context_window"`
			DefaultMaxTokens    int  `json:"default_max_tokens"`
			CanReason           bool `json:"can_reason"`
			SupportsAttachments bool `json:"supports_attachments"`
		}
		type provider struct {
			Name    string  `json:"name"`
			Type    string  `json:"type"`
			BaseURL string  `json:"base_url"`
			APIKey  string  `json:"api_key"`
			Models  []model `json:"models"`
		}
		type chosen struct {
			Model    string `json:"model"`
			Provider string `json:"provider"`
		}
		p := provider{Name: "Composer", Type: "openai-compat", BaseURL: g.base(), APIKey: g.key("$" + keyVariable)}
		for _, m := range g.Models {
			p.Models = append(p.Models, model{ID: m.ID, Name: m.Name, ContextWindow: m.Context, DefaultMaxTokens: outputTokens, CanReason: true, SupportsAttachments: true})
		}
		return target{files: []file{{m.configHome("crush", "crush.json"), configfile.JSON, []edit{
			{path: configfile.Path{"$schema"}, value: "https://charm.land/crush.json", heading: true},
			set(p, "providers", "composer"),
			set(chosen{g.model(), "composer"}, "models", "large"),
			set(chosen{g.model(), "composer"}, "models", "small"),
		}}}}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"run", prompt} }},
}

// pi: docs/models.md and docs/settings.md of its package. An apiKey is "$NAME" of a variable, or else the key itself. (Older
// versions took the bare name for one, which now is a key.)
//
// The provider's models and the choice among them are two files.
var pi = Client{
	ID: "pi", Name: "pi", programs: []string{"pi"},
	target: func(m *Machine, g *Gateway) target {
		type model struct {
			ID            string   `json:"id"`
			Name          string   `json:"name"`
			Reasoning     bool     `json:"reasoning"`
			Input         []string `json:"input"`
			ContextWindow int      `json:"contextWindow"`
			MaxTokens     int      `json:"maxTokens"`
		}
		type provider struct {
			BaseURL string  `json:"baseUrl"`
			API     string  `json:"api"`
			APIKey  string  `json:"apiKey"`
			Models  []model `json:"models"`
		}
		p := provider{BaseURL: g.base(), API: "openai-completions", APIKey: g.key("$" + keyVariable)}
		for _, m := range g.Models {
			p.Models = append(p.Models, model{m.ID, m.Name, true, []string{"text", "image"}, m.Context, outputTokens})
		}
		// The variable, where it is set, names the folder itself.
		dir := func(name string) string { return m.below("PI_CODING_AGENT_DIR", ".pi/agent", name) }
		return target{files: []file{
			{dir("models.json"), configfile.JSON, []edit{set(p, "providers", "composer")}},
			{dir("settings.json"), configfile.JSON, []edit{set("composer", "defaultProvider"), set(g.model(), "defaultModel")}},
		}}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"-p", prompt} }},
}

// qwenCode: its documentation of modelProviders and of settings. The key always is in a variable, which "env" of the
// settings sets where the environment does not.
var qwenCode = Client{
	ID: "qwen", Name: "Qwen Code", programs: []string{"qwen"},
	target: func(m *Machine, g *Gateway) target {
		type generation struct {
			ContextWindowSize int `json:"contextWindowSize"`
		}
		type model struct {
			ID         string     `json:"id"`
			Name       string     `json:"name"`
			BaseURL    string     `json:"baseUrl"`
			EnvKey     string     `json:"envKey"`
			Generation generation `json:"generationConfig"`
		}
		variable := keyVariable
		var edits []edit
		if !g.Token.IsZero() {
			variable = "COMPOSER_API_TOKEN"
			// A name of our own: CURSOR_API_KEY may hold the Cursor key itself.
			edits = append(edits, set(g.Token.Reveal(), "env", variable))
		}
		for _, m := range g.Models {
			// Its providers are groups by protocol, and "openai" is the group that our models join.
			// Those of the user stay in it.
			edits = append(edits, set(model{m.ID, m.Name, g.base(), variable, generation{m.Context}}, "modelProviders", "openai", "[id="+m.ID+"]"))
		}
		// Without a chosen way to log in, its first start asks for one.
		edits = append(edits, set("openai", "security", "auth", "selectedType"), set(g.model(), "model", "name"))
		return target{files: []file{{m.home(".qwen", "settings.json"), configfile.JSON, edits}}}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"-p", prompt, "--yolo"} }},
}

// cline: the file that its command "cline auth" writes, in the form of its code (ProviderSettingsManager). The extension of
// editors keeps its settings in the editor's own storage, and shares none with the command.
//
// The command writes the whole file again when it is used; an undo then goes by values.
var cline = Client{
	ID: "cline", Name: "Cline", programs: []string{"cline"},
	folders: extension("saoudrizwan.claude-dev"),
	target: func(m *Machine, g *Gateway) target {
		// Each field is checked when the file is read, and one that is missing or odd makes Cline
		// begin with an empty file.
		type settings struct {
			Provider      string `json:"provider"`
			APIKey        string `json:"apiKey,omitempty"`
			Model         string `json:"model"`
			BaseURL       string `json:"baseUrl"`
			ContextWindow int    `json:"contextWindow"`
			MaxTokens     int    `json:"maxTokens"`
		}
		const id = "openai-compatible"
		steps := []string{"for the editor: in Cline's settings, API Provider \"OpenAI Compatible\", Base URL " + g.base() + ", Model ID " + g.model() + ", the key from '" + g.tokenCommand() + "'"}
		if g.Token.IsZero() {
			steps = append(steps, "its file refers to no variable: give it the key by --key each time, as in cline --key \""+g.shell()+"\"")
		}
		return target{
			files: []file{{clineSettings(m), configfile.JSON, []edit{
				{path: configfile.Path{"version"}, value: 1, heading: true},
				set(id, "lastUsedProvider"),
				{path: configfile.Path{"modes"}, value: struct{}{}, heading: true},
				set(settings{id, g.key(""), g.model(), g.base(), g.Models[0].Context, outputTokens}, "providers", id, "settings"),
				// It wants a time, and sets it when the provider is used. This one stays the same, so
				// that a second setup has nothing to change.
				{path: configfile.Path{"providers", id, "updatedAt"}, value: "2026-01-01T00:00:00.000Z", theirs: true},
				set("manual", "providers", id, "tokenSource"),
			}}},
			steps: steps,
		}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"--provider", "openai-compatible", prompt} }},
}

// clineSettings is where Cline's command keeps its providers. Each of the variables names more of the path.
func clineSettings(m *Machine) string {
	if file := m.Getenv("CLINE_PROVIDER_SETTINGS_PATH"); file != "" {
		return file
	}
	if data := m.Getenv("CLINE_DATA_DIR"); data != "" {
		return filepath.Join(data, "settings", "providers.json")
	}
	return m.below("CLINE_DIR", ".cline", "data", "settings", "providers.json")
}

// copilotCLI knows a provider of one's own by variables alone: what "copilot help providers" prints.
var copilotCLI = Client{
	ID: "copilot", Name: "Copilot CLI", programs: []string{"copilot"},
	target: func(_ *Machine, g *Gateway) target {
		return target{
			variables: []variable{
				{name: "COPILOT_PROVIDER_TYPE", value: "anthropic"}, {name: "COPILOT_PROVIDER_BASE_URL", value: g.Root},
				{name: "COPILOT_PROVIDER_API_KEY", key: true}, {name: "COPILOT_MODEL", value: g.model()},
			},
			steps: []string{"it takes these from variables alone; put them into your shell's start file to have them always"},
		}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"--allow-all-tools", "-p", prompt} }},
}

// shell is the key in a command line for a shell.
//
// It is for commands that are shown to people, so the token itself is not in it.
func (g *Gateway) shell() string {
	if g.Token.IsZero() {
		return "$" + keyVariable
	}
	return `"$(` + g.tokenCommand() + `)"`
}
