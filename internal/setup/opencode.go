package setup

import "composer-api/internal/setup/configfile"

// OpenCode's configuration, and that of Kilo's CLI, which grew out of it: opencode.ai/docs/config, kilo.ai/docs/cli.
type (
	openCodeProvider struct {
		// The package by which OpenCode speaks to the provider. It loads it by itself.
		NPM     string          `json:"npm"`
		Name    string          `json:"name"`
		Options openCodeOptions `json:"options"`
		// By the id of the model.
		Models map[string]openCodeModel `json:"models"`
	}
	openCodeOptions struct {
		BaseURL string `json:"baseURL"`
		APIKey  string `json:"apiKey"`
	}
	// What is not said here is taken from a list of known models, in which Composer's are not.
	openCodeModel struct {
		// Name is what OpenCode shows.
		Name        string              `json:"name"`
		ToolCall    bool                `json:"tool_call"`
		Reasoning   bool                `json:"reasoning"`
		Attachment  bool                `json:"attachment"`
		Interleaved openCodeInterleaved `json:"interleaved"`
		Limit       openCodeLimit       `json:"limit"`
		Modalities  openCodeModalities  `json:"modalities"`
	}
	// Without "interleaved", OpenCode doesn't send the reasoning back.
	openCodeInterleaved struct {
		Field string `json:"field"`
	}
	// In tokens. By Context OpenCode decides when it compacts a conversation.
	openCodeLimit struct {
		Context int `json:"context"`
		Output  int `json:"output"`
	}
	openCodeModalities struct {
		Input  []string `json:"input"`
		Output []string `json:"output"`
	}
)

// openCode: opencode.ai/docs/config. Both names of its file are read; a .jsonc file goes first when it is there. --auto lets tools run
// without a question, which a run without a terminal could not answer.
var openCode = Client{
	ID: "opencode", Name: "OpenCode", programs: []string{"opencode"},
	target: func(m *Machine, g *Gateway) target {
		return target{files: []file{openCodeFile(g, "https://opencode.ai/config.json",
			firstThere(m.configHome("opencode", "opencode.jsonc"), m.configHome("opencode", "opencode.json")))}}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"run", "--auto", prompt} }},
}

// kilo: kilo.ai/docs/cli. It has kept OpenCode's format, in a folder of its own.
var kilo = Client{
	ID: "kilo", Name: "Kilo CLI", programs: []string{"kilo", "kilocode"},
	target: func(m *Machine, g *Gateway) target {
		return target{files: []file{openCodeFile(g, "https://kilo.ai/config.json",
			firstThere(m.configHome("kilo", "kilo.jsonc"), m.configHome("kilo", "kilo.json"), m.configHome("kilo", "config.json")))}}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"run", "--auto", prompt} }},
}

// openCodeFile makes the gateway a provider, and its first model the default, also for titles and the like.
func openCodeFile(g *Gateway, schema, path string) file {
	provider := openCodeProvider{
		NPM: "@ai-sdk/openai-compatible", Name: "Composer",
		Options: openCodeOptions{g.base(), g.key("{env:" + keyVariable + "}")}, Models: map[string]openCodeModel{},
	}
	for _, m := range g.Models {
		provider.Models[m.ID] = openCodeModel{
			Name: m.Name, ToolCall: true, Reasoning: true, Attachment: true, Interleaved: openCodeInterleaved{"reasoning_content"},
			Limit: openCodeLimit{m.Context, outputTokens}, Modalities: openCodeModalities{[]string{"text", "image"}, []string{"text"}},
		}
	}
	return file{path, configfile.JSON, []edit{
		{path: configfile.Path{"$schema"}, value: schema, heading: true},
		set("composer/"+g.model(), "model"),
		// Without it, titles would go to whatever small model OpenCode finds.
		set("composer/"+g.model(), "small_model"),
		set(provider, "provider", "composer"),
	}}
}
