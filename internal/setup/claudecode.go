package setup

import "composer-api/internal/setup/configfile"

// claudeCode: code.claude.com/docs/en/settings. It takes its variables from the object "env" of its settings, too. It asks for
// models by the names of Anthropic's unless each of its kinds of model is set. Its settings refer to no other variables, so
// without a token the key has to be in ANTHROPIC_AUTH_TOKEN.
var claudeCode = Client{
	ID: "claude", Name: "Claude Code", programs: []string{"claude"},
	target: func(m *Machine, g *Gateway) target {
		// Without /v1, which Anthropic's clients add themselves.
		edits := []edit{set(g.Root, "env", "ANTHROPIC_BASE_URL")}
		var variables []variable
		if g.Token.IsZero() {
			variables = []variable{{name: "ANTHROPIC_AUTH_TOKEN", key: true}}
		} else {
			edits = append(edits, set(g.Token.Reveal(), "env", "ANTHROPIC_AUTH_TOKEN"))
		}
		// Each of these kinds is asked for by a request at some time: the large one for plans, the
		// small one for titles.
		for _, kind := range []string{"ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"} {
			edits = append(edits, set(g.model(), "env", kind))
		}
		return target{files: []file{{m.below("CLAUDE_CONFIG_DIR", ".claude", "settings.json"), configfile.JSON, edits}}, variables: variables}
	},
	headless: &headless{args: func(prompt string) []string { return []string{"-p", prompt, "--allowedTools", "Bash Read"} }},
}
