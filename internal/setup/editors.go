package setup

import (
	"path/filepath"

	"composer-api/internal/setup/configfile"
)

// Editors, and extensions of editors.

// zed: zed.dev/docs/ai/llm-providers. The key of a provider "Composer" is the variable COMPOSER_API_KEY, or is typed into
// Zed, which keeps it in the system's keyring.
//
// Zed makes the variable's name out of the provider's name, so the two have to fit.
var zed = Client{
	ID: "zed", Name: "Zed", programs: []string{"zed", "zeditor"},
	target: func(m *Machine, g *Gateway) target {
		type capabilities struct {
			Tools             bool `json:"tools"`
			Images            bool `json:"images"`
			ParallelToolCalls bool `json:"parallel_tool_calls"`
			PromptCacheKey    bool `json:"prompt_cache_key"`
		}
		type model struct {
			Name            string       `json:"name"`
			DisplayName     string       `json:"display_name"`
			MaxTokens       int          `json:"max_tokens"`
			MaxOutputTokens int          `json:"max_output_tokens"`
			Capabilities    capabilities `json:"capabilities"`
		}
		type provider struct {
			APIURL string  `json:"api_url"`
			Models []model `json:"available_models"`
		}
		type chosen struct {
			Provider string `json:"provider"`
			Model    string `json:"model"`
		}
		p := provider{APIURL: g.base()}
		for _, m := range g.Models {
			p.Models = append(p.Models, model{m.ID, m.Name, m.Context, outputTokens, capabilities{Tools: true, Images: true, ParallelToolCalls: true}})
		}
		path := m.configHome("zed", "settings.json")
		// Zed follows XDG on macOS, too, but not on Windows.
		if m.GOOS == "windows" {
			path = m.appData("Zed", "settings.json")
		}
		return target{
			files: []file{{path, configfile.JSON, []edit{
				set(p, "language_models", "openai_compatible", "Composer"),
				set(chosen{"Composer", g.model()}, "agent", "default_model"),
			}}},
			variables: []variable{{name: "COMPOSER_API_KEY", key: true}},
			steps:     []string{"or, in place of that variable, type what '" + g.tokenCommand() + "' prints into Zed's settings (AI, LLM Providers, Composer)"},
		}
	},
}

// vsCode: its list of models of one's own, a file beside the settings whose root is a list of providers:
// code.visualstudio.com/docs/agent-customization/language-models, "Custom Endpoint". Versions before 1.122 have no such provider.
//
// VS Code recommends a reference to its own store for the key. The local token means nothing on another machine, so it may
// stand in the file; without one, VS Code asks.
var vsCode = Client{
	ID: "vscode", Name: "VS Code (own models)", programs: []string{"code"},
	target: func(m *Machine, g *Gateway) target {
		type model struct {
			ID              string `json:"id"`
			Name            string `json:"name"`
			URL             string `json:"url"`
			ToolCalling     bool   `json:"toolCalling"`
			Vision          bool   `json:"vision"`
			Thinking        bool   `json:"thinking"`
			MaxInputTokens  int    `json:"maxInputTokens"`
			MaxOutputTokens int    `json:"maxOutputTokens"`
		}
		type provider struct {
			Name    string  `json:"name"`
			Vendor  string  `json:"vendor"`
			APIKey  string  `json:"apiKey,omitempty"`
			APIType string  `json:"apiType"`
			Models  []model `json:"models"`
		}
		p := provider{Name: "Composer", Vendor: "customendpoint", APIKey: g.key(""), APIType: "chat-completions"}
		for _, m := range g.Models {
			// VS Code counts prompt and answer apart, so the answer's share is taken off the
			// context.
			p.Models = append(p.Models, model{m.ID, m.Name, g.base() + "/chat/completions", true, true, true, m.Context - outputTokens, outputTokens})
		}
		steps := []string{"in VS Code, 1.122 or newer: choose " + g.Models[0].Name + " in the chat's list of models; start VS Code again if it is not there"}
		if g.Token.IsZero() {
			steps = append(steps, "its file holds no key: Chat: Manage Language Models, the gear beside Composer, and give it your key")
		}
		return target{
			files: []file{{m.appData("Code", "User", "chatLanguageModels.json"), configfile.JSON, []edit{set(p, "[name=Composer]")}}},
			steps: steps,
		}
	},
}

// vsCodeSettings is the user's settings of VS Code itself. Its variants, such as VSCodium, have
// other folders and are not set up.
func vsCodeSettings(m *Machine) string { return m.appData("Code", "User", "settings.json") }

// roo reads a file with its profiles at every start, when the editor's settings name one.
//
// So Roo's own storage is never touched: the profiles lie in our state folder, and the editor's
// settings name that file.
var roo = Client{
	ID: "roo", Name: "Roo Code", folders: extension("rooveterinaryinc.roo-cline"),
	target: func(m *Machine, g *Gateway) target {
		type info struct {
			MaxTokens      int  `json:"maxTokens"`
			ContextWindow  int  `json:"contextWindow"`
			SupportsImages bool `json:"supportsImages"`
			PromptCache    bool `json:"supportsPromptCache"`
		}
		type profile struct {
			ID       string `json:"id"`
			Provider string `json:"apiProvider"`
			BaseURL  string `json:"openAiBaseUrl"`
			APIKey   string `json:"openAiApiKey"`
			ModelID  string `json:"openAiModelId"`
			Info     info   `json:"openAiCustomModelInfo"`
		}
		imported := filepath.Join(m.State, "setup", "roo-settings.json")
		return target{
			files: []file{
				{imported, configfile.JSON, []edit{
					set("composer", "providerProfiles", "currentApiConfigName"),
					set(profile{"composer", "openai", g.base(), g.key(""), g.model(), info{outputTokens, g.Models[0].Context, true, true}}, "providerProfiles", "apiConfigs", "composer"),
				}},
				{vsCodeSettings(m), configfile.JSON, []edit{set(imported, "roo-cline.autoImportSettingsPath")}},
			},
			steps: []string{"start VS Code again: Roo reads the file at its start. Without a local token, type your key into Roo's settings"},
		}
	},
}

// jetBrains keeps its settings where composer-api does not write: jetbrains.com/help/ai-assistant/use-custom-models.html.
var jetBrains = Client{
	ID: "jetbrains", Name: "JetBrains AI Assistant",
	target: func(_ *Machine, g *Gateway) target {
		return target{steps: []string{
			"in the IDE: Settings, Tools, AI Assistant, Providers & API keys (in older ones Models & API keys), \"OpenAI-compatible\": URL " + g.base() + ", the key from '" + g.tokenCommand() + "', Tool calling on",
			"then choose " + g.model() + " in the list of models of the chat",
			"the IDE keeps this in its own storage and in the system's keyring, which composer-api does not touch",
		}}
	},
}

// extension finds an extension of VS Code by its folder, which has its version in its name.
//
// Any version counts: ~/.vscode/extensions/saoudrizwan.claude-dev-3.1.0.
func extension(id string) func(*Machine) []string {
	return func(m *Machine) []string {
		found, err := filepath.Glob(m.home(".vscode", "extensions", id+"-*"))
		if err != nil {
			return nil
		}
		return found
	}
}
