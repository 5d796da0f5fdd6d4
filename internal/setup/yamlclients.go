package setup

import "composer-api/internal/setup/configfile"

// Clients whose files are YAML.

// continueDev: docs.continue.dev/reference. ${{ secrets.NAME }} is taken from the environment, too.
//
// An element of the list models is found by its name, so models of the user's own stay.
var continueDev = Client{
	ID: "continue", Name: "Continue", programs: []string{"cn"}, folders: extension("continue.continue"),
	target: func(m *Machine, g *Gateway) target {
		// The types are here and not at the top, because each is the form of one client's file and
		// of nothing else. The order of their fields is the order in the file.
		type completion struct {
			ContextLength int `json:"contextLength"`
			MaxTokens     int `json:"maxTokens"`
		}
		type model struct {
			Name         string     `json:"name"`
			Provider     string     `json:"provider"`
			Model        string     `json:"model"`
			APIBase      string     `json:"apiBase"`
			APIKey       string     `json:"apiKey"`
			Roles        []string   `json:"roles"`
			Capabilities []string   `json:"capabilities"`
			Completion   completion `json:"defaultCompletionOptions"`
		}
		edits := []edit{
			{path: configfile.Path{"name"}, value: "Local", heading: true},
			{path: configfile.Path{"version"}, value: "1.0.0", heading: true},
			{path: configfile.Path{"schema"}, value: "v1", heading: true},
		}
		// An edit for each model. A second run finds them by name and changes them in place, so the
		// list doesn't grow.
		for _, m := range g.Models {
			edits = append(edits, set(model{
				// "openai" is Continue's name for any server that speaks chat completions; apiBase
				// makes it this one.
				m.Name, "openai", m.ID, g.base(), g.key("${{ secrets." + keyVariable + " }}"), []string{"chat", "edit", "apply"},
				[]string{"tool_use", "image_input"}, completion{m.Context, outputTokens},
			}, "models", "[name="+m.Name+"]"))
		}
		return target{
			files: []file{
				{m.below("CONTINUE_GLOBAL_DIR", ".continue", "config.yaml"), configfile.YAML, edits},
				// The model that the command cn begins with, where it keeps it itself. Without it, that is
				// the first of the list, which may be the user's own.
				{m.below("CONTINUE_GLOBAL_DIR", ".continue", "index", "globalContext.json"), configfile.JSON, []edit{set(g.Models[0].Name, "cliSelectedModel")}},
			},
			steps: []string{"in the editor: choose the model " + g.Models[0].Name + " in Continue's list"},
		}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"-p", prompt, "--auto"} }},
}

// aider: aider.chat/docs/config. Sizes and prices of models are a file of their own, in litellm's form.
//
// It sends model names through litellm, which takes "openai/" as the provider's name and cuts it
// off.
var aider = Client{
	ID: "aider", Name: "aider", programs: []string{"aider"},
	target: func(m *Machine, g *Gateway) target {
		// Without this file aider doesn't know the sizes of the models, and warns at each start.
		type metadata struct {
			MaxTokens       int    `json:"max_tokens"`
			MaxInputTokens  int    `json:"max_input_tokens"`
			MaxOutputTokens int    `json:"max_output_tokens"`
			Provider        string `json:"litellm_provider"`
			Mode            string `json:"mode"`
			Vision          bool   `json:"supports_vision"`
		}
		// weak-model is the one for commit messages and summaries.
		edits := []edit{set("openai/"+g.model(), "model"), set("openai/"+g.model(), "weak-model"), set(g.base(), "openai-api-base")}
		var variables []variable
		// A gateway without a token of its own is asked with the user's Cursor key, which is never
		// written into a file.
		if g.Token.IsZero() {
			variables = []variable{{name: "OPENAI_API_KEY", key: true}}
		} else {
			edits = append(edits, set(g.Token.Reveal(), "openai-api-key"))
		}
		var sizes []edit
		for _, m := range g.Models {
			// Both limits of the answer: max_tokens is litellm's older name for max_output_tokens.
			sizes = append(sizes, set(metadata{outputTokens, m.Context, outputTokens, "openai", "chat", true}, "openai/"+m.ID))
		}
		return target{
			files: []file{
				{m.home(".aider.conf.yml"), configfile.YAML, edits},
				{m.home(".aider.model.metadata.json"), configfile.JSON, sizes},
			},
			variables: variables,
		}
	},
	// It uses no tools: it edits the files that it is given by the text of the answers.
	headless: &headless{edits: true, args: func(prompt string) []string {
		return []string{"--yes-always", "--no-git", "--no-pretty", "--no-check-update", "--no-show-release-notes", "--no-detect-urls", "--message", prompt, wordFile}
	}},
}

// goose: its documentation of custom providers. A key is a variable or in the system's keyring; its files don't hold one.
var goose = Client{
	ID: "goose", Name: "Goose", programs: []string{"goose"},
	target: func(m *Machine, g *Gateway) target {
		type model struct {
			Name         string `json:"name"`
			ContextLimit int    `json:"context_limit"`
		}
		var models []model
		for _, m := range g.Models {
			models = append(models, model{m.ID, m.Context})
		}
		// Each field is an edit of its own: the file is the provider's alone, so there is no key
		// above them that could be set as a whole.
		provider := []edit{
			set("composer", "name"),
			set("openai", "engine"),
			set("Composer", "display_name"),
			set("Cursor's Composer models", "description"),
			set(keyVariable, "api_key_env"),
			// The whole address of the endpoint, where other clients want the base.
			set(g.base()+"/chat/completions", "base_url"),
			set(models, "models"),
			set(true, "supports_streaming"),
		}
		dir := m.configHome("goose")
		// Only there the folder has the vendor's name in it.
		if m.GOOS == "windows" {
			dir = m.appData("Block", "goose", "config")
		}
		return target{
			files: []file{
				{dir + "/custom_providers/composer.json", configfile.JSON, provider},
				{dir + "/config.yaml", configfile.YAML, []edit{set("composer", "GOOSE_PROVIDER"), set(g.model(), "GOOSE_MODEL")}},
			},
			variables: []variable{{name: keyVariable, key: true}},
		}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"run", "--no-session", "-t", prompt} }},
}
