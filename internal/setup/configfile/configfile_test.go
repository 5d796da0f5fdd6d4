package configfile_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"composer-api/internal/golden"
	"composer-api/internal/setup/configfile"
)

// A change is a line of a case's edits: set PATH JSON.
type change struct {
	path  configfile.Path
	value string
}

func changes(t *testing.T, text string) []change {
	t.Helper()
	var all []change
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "set ")
		path, value, ok2 := strings.Cut(line, " ")
		if !ok || !ok2 {
			t.Fatalf("no edit: %q", line)
		}
		all = append(all, change{strings.Split(path, "."), value})
	}
	return all
}

// TestEdits plays testdata: what a file is like after some edits, of which none has an effect when it is made again.
func TestEdits(t *testing.T) {
	for _, format := range []configfile.Format{configfile.JSON, configfile.TOML, configfile.YAML} {
		golden.Cases(t, "testdata/"+string(format)+"-*.txtar", func(t *testing.T, c *golden.Case) {
			sections := map[string]string{}
			for _, f := range c.Files {
				sections[f.Name] = string(f.Data)
			}
			text := sections["before"]
			for _, c := range changes(t, sections["edits"]) {
				var err error
				if text, err = configfile.Set(format, text, c.path, json.RawMessage(c.value)); err != nil {
					t.Fatalf("%s: %v", c.path, err)
				}
				again, err := configfile.Set(format, text, c.path, json.RawMessage(c.value))
				if err != nil || again != text {
					t.Errorf("%s: set a second time: %v\n%s", c.path, err, again)
				}
			}
			c.Want(t, "after", text)
		})
	}
}

// TestWhatIsAddedIsTakenOutAgain: a deletion after an addition leaves the file as it was.
func TestWhatIsAddedIsTakenOutAgain(t *testing.T) {
	for format, texts := range map[configfile.Format][]string{
		configfile.JSON: {
			"{\n  \"a\": 1\n}\n", "{\n  // x\n  \"a\": 1, // y\n}\n", "{\n\t\"a\": {}, \"b\": 2\n\t// z\n}", "{}\n", "{\n  \"a\": 1 // y\n}\n", "{\"a\": 1}\n", "{ \"a\": 1, \"b\": [2] }\n",
		},
		configfile.TOML: {"a = 1\n", "# x\na = 1 # y\n\n[t]\nb = 2\n", "[t]\nb = 2\n\n# end\n"},
		configfile.YAML: {"a: 1\n", "# x\na: 1 # y\n\nb:\n  - c\n# end\n", "---\na: 1\n"},
	} {
		for _, text := range texts {
			added, err := configfile.Set(format, text, configfile.Path{"ours"}, "x")
			if err != nil {
				t.Errorf("%s %q: %v", format, text, err)
				continue
			}
			back, err := configfile.Delete(format, added, configfile.Path{"ours"})
			if err != nil || back != text {
				t.Errorf("%s %q: with ours %q, without it again %q, %v", format, text, added, back, err)
			}
		}
	}
}

// TestWhatIsNotUnderstoodIsLeftAlone has files that say the same in other ways, and files that are broken.
func TestWhatIsNotUnderstoodIsLeftAlone(t *testing.T) {
	for _, tt := range []struct {
		format  configfile.Format
		text    string
		path    configfile.Path
		unusual bool
	}{
		{configfile.TOML, "model_providers = { composer = { name = \"x\" } }\n", configfile.Path{"model_providers", "composer"}, true},
		{configfile.TOML, "model_providers.composer.name = \"x\"\n", configfile.Path{"model_providers", "composer"}, true},
		{configfile.TOML, "model = \n", configfile.Path{"model"}, false},
		{configfile.YAML, "models: [{name: x}]\n", configfile.Path{"models", "[name=Composer]"}, true},
		{configfile.YAML, "{a: 1}\n", configfile.Path{"b"}, true},
		{configfile.YAML, "a: [\n", configfile.Path{"b"}, false},
		{configfile.JSON, "[1]", configfile.Path{"a"}, true},
		{configfile.JSON, "{\"provider\": 3}", configfile.Path{"provider", "composer"}, true},
		{configfile.JSON, "{", configfile.Path{"a"}, false},
	} {
		value := map[string]string{"name": "Composer"}
		if _, err := configfile.Set(tt.format, tt.text, tt.path, value); err == nil || errors.Is(err, configfile.ErrUnusual) != tt.unusual {
			t.Errorf("%s %q: %v", tt.format, tt.text, err)
		}
	}
}

func FuzzEdit(f *testing.F) {
	f.Add("json", "{\"a\": 1, // x\n}")
	f.Add("toml", "a = 1\n[b]\nc = [1,\n2]\n")
	f.Add("yaml", "a: 1\nb:\n- name: x\n")
	f.Fuzz(func(t *testing.T, format, text string) {
		switch format {
		case "json", "toml", "yaml":
		default:
			return
		}
		// Set checks by itself that it changes nothing else; it may refuse, and must not panic.
		added, err := configfile.Set(configfile.Format(format), text, configfile.Path{"zz", "yy"}, map[string]int{"x": 1})
		if err != nil {
			return
		}
		if got, ok, err := configfile.Get(configfile.Format(format), added, configfile.Path{"zz", "yy"}); err != nil || !ok || got != `{"x":1}` {
			t.Errorf("%q became %q, where it is %q, %v, %v", text, added, got, ok, err)
		}
	})
}
