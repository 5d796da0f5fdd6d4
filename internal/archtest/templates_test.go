package archtest

import (
	"encoding/json"
	"path"
	"strings"
	"testing"

	"github.com/tailscale/hujson"
	"gopkg.in/yaml.v3"
)

// TestFilesForOtherProgramsCanBeRead parses what no test of ours uses: issue forms, workflows, the dev container. Whoever
// reads them says nothing of a mistake, or says it too late.
func TestFilesForOtherProgramsCanBeRead(t *testing.T) {
	var forms int
	for _, name := range files(t) {
		if !strings.HasPrefix(name, ".github/") && !strings.HasPrefix(name, ".devcontainer/") {
			continue
		}
		data := read(t, name)
		var err error
		switch {
		case len(data) == 0: // deleted, and not yet committed
		case path.Base(path.Dir(name)) == "ISSUE_TEMPLATE" && path.Base(name) != "config.yml":
			forms++
			var form struct {
				Name, Description string
				Body              []struct {
					Type, ID   string
					Attributes struct{ Label string }
				}
			}
			if err = yaml.Unmarshal(data, &form); err == nil && (form.Name == "" || form.Description == "" || len(form.Body) == 0) {
				t.Errorf("%s: a form needs a name, a description and a body", name)
			}
			for _, field := range form.Body {
				if field.Type == "" || field.ID == "" || field.Attributes.Label == "" {
					t.Errorf("%s: the field %q has no type, id or label", name, field.ID)
				}
			}
		case path.Ext(name) == ".yml" || path.Ext(name) == ".yaml":
			var document map[string]any
			err = yaml.Unmarshal(data, &document)
		case path.Ext(name) == ".json":
			if data, err = hujson.Standardize(data); err == nil {
				var document map[string]any
				err = json.Unmarshal(data, &document)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if forms == 0 {
		t.Error("there is no issue form")
	}
}
