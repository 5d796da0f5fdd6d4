package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"composer-api/internal/golden"
)

// settingsIntro is what the document says before the tables.
const settingsIntro = `# Settings

Every setting of ` + "`composer-api serve`" + ` has a variable and, unless it is a secret, a flag. Its value is the first of these that is there: the flag, the variable in the environment, in
` + "`.dev.vars`, in `.env`" + ` (both in the working directory), the default. Durations have a unit: ` + "`30s`, `10m`" + `.
`

// TestTheDocumentNamesEverySetting writes docs/settings.md from the structs, or compares it with them.
func TestTheDocumentNamesEverySetting(t *testing.T) {
	var cfg Config
	parser, err := kong.New(&cfg, Durations())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(settingsIntro)
	group, n := "", 0
	for _, flag := range parser.Model.Flags {
		name := flag.Tag.Get(VarTag)
		if name == "" {
			continue // --help
		}
		n++
		if flag.Group != nil && flag.Group.Title != group {
			group = flag.Group.Title
			fmt.Fprintf(&b, "\n## %s\n\n| variable | flag | default | |\n| --- | --- | --- | --- |\n", group)
		}
		own, preset := "`--"+flag.Name+"`", ""
		if flag.Hidden {
			own = "none: a secret"
		}
		if flag.Default != "" && flag.Default != "0" {
			preset = "`" + flag.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, own, preset, strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(flag.Help))
	}
	if want := countSettings(reflect.TypeFor[Config]()); n != want {
		t.Errorf("%d settings are listed, and there are %d", n, want)
	}
	golden.File(t, "../../docs/settings.md", b.String())
}

func countSettings(t reflect.Type) (n int) {
	for i := range t.NumField() {
		f := t.Field(i)
		if _, embedded := f.Tag.Lookup("embed"); embedded {
			n += countSettings(f.Type)
		} else if f.Tag.Get(VarTag) != "" {
			n++
		}
	}
	return n
}
