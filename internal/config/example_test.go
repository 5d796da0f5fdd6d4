package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"composer-api/internal/golden"
)

// exampleIntro is what stands before the settings in .env.example.
const exampleIntro = `# Every setting of 'composer-api serve', with its default. Copy this file to .env in the folder that the server is started in
# (for 'composer-api service': in the state folder), and take the # from the lines that you change. The environment and
# .dev.vars count before it. Keep it to yourself (chmod 600 .env): it may hold secrets.
`

// TestTheExampleHasEverySetting writes .env.example from the structs, or compares it with them, and reads it as the server would.
func TestTheExampleHasEverySetting(t *testing.T) {
	var cfg Config
	parser, err := kong.New(&cfg, Durations())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(exampleIntro)
	group := ""
	for _, flag := range parser.Model.Flags {
		name := flag.Tag.Get(VarTag)
		if name == "" {
			continue // --help
		}
		if flag.Group != nil && flag.Group.Title != group {
			group = flag.Group.Title
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		fmt.Fprintf(&b, "\n# %s\n# %s=%s\n", flag.Help, name, flag.Default)
	}
	golden.File(t, "../../.env.example", b.String())

	// With all of its lines taken in, it sets each setting that has a default, and to a value that is good.
	all := strings.NewReplacer("\n# COMPOSER_", "\nCOMPOSER_", "\n# CURSOR_", "\nCURSOR_").Replace(b.String())
	assigned, err := parseDotenv(all)
	if err != nil {
		t.Fatalf("the example can't be read: %v", err)
	}
	values := map[string]string{}
	for _, a := range assigned {
		values[a.name] = a.value
	}
	for _, flag := range parser.Model.Flags {
		name := flag.Tag.Get(VarTag)
		if value := values[name]; name != "" && flag.Default != "" && (value != flag.Default || check(value, flag) != nil) {
			t.Errorf("%s is %q in the example, and its default is %q", name, value, flag.Default)
		}
	}
}
