package setup

import "composer-api/internal/setup/configfile"

// Clients of the terminal whose files are JSON.

// crush: charm.land/crush.json is its schema. $NAME in its values is a variable.
//
// Its "large" model does the work and its "small" one writes titles; both are ours, because a model
// of another provider needs another key.
var crush = Client{
	ID: "crush", Name: "Crush", programs: []string{"crush"},
	target: func(m *Machine, g *Gateway) target {
		type model struct {
			ID                  string `json:"id"`
			Name                string `json:"name"`
			ContextWindow       int    `json:"context_window"`
			DefaultMaxTokens    int    `json:"default_max_tokens"`
			CanReason           bool   `json:"can_reason"`
			SupportsAttachments bool   `json:"supports_attachments"`
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
			// The last two: the models think, and take images.
			p.Models = append(p.Models, model{m.ID, m.Name, m.Context, outputTokens, true, true})
		}
		return target{files: []file{{m.configHome("crush", "crush.json"), configfile.JSON, []edit{
			{path: configfile.Path{"$schema"}, value: "https://charm.land/crush.json", ifNew: true},
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

// cline: its CLI keeps its providers in a file of its own format, which it changes itself; it is told by a command.
var cline = Client{
	ID: "cline", Name: "Cline", programs: []string{"cline"},
	folders: extension("saoudrizwan.claude-dev"),
	target: func(_ *Machine, g *Gateway) target {
		// Two ways, because Cline is a command and an extension of editors, which share no
		// settings.
		return target{steps: []string{
			"in the terminal: cline auth --provider openai --apikey " + g.shell() + " --baseurl " + g.base() + " --modelid " + g.model(),
			"in the editor: Cline's settings, API Provider \"OpenAI Compatible\", Base URL " + g.base() + ", Model ID " + g.model() + ", the key from 'composer-api token'",
			"its settings lie in the editor's own storage, which composer-api does not touch",
		}}
	},
}

// copilotCLI knows a provider of one's own by variables alone: docs.github.com, "bring your own key" of Copilot CLI.
var copilotCLI = Client{
	ID: "copilot", Name: "Copilot CLI", programs: []string{"copilot"},
	target: func(_ *Machine, g *Gateway) target {
		return target{steps: []string{
			"start it so: COPILOT_PROVIDER_TYPE=anthropic COPILOT_PROVIDER_BASE_URL=" + g.Root + " COPILOT_PROVIDER_API_KEY=" + g.shell() + " COPILOT_MODEL=" + g.model() + " copilot",
			"it takes these from variables alone; put them into your shell's start file to have them always",
		}}
	},
}

// shell is the key in a command line for a shell.
//
// It is for commands that are shown to people, so the token itself is not in it.
func (g *Gateway) shell() string {
	if g.Token.IsZero() {
		return "$" + keyVariable
	}
	return `"$(composer-api token)"`
}
