package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"composer-api/internal/golden"
)

// The public JSON-Schema-Test-Suite (testdata/suite, see its LICENSE), drafts 7 and 2020-12, without the optional parts.
// zod and pydantic write one or the other. What OpenAI's subset covers is in it, and much more. The file format.json of
// 2020-12 is left out: it wants formats to be mere notes, and here they are checked.

type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// TestSuite checks every schema of the suite. Those that we refuse are listed in testdata/refused.txt, with the reason
// that the client is told; docs/json-schema.md says the same in short.
func TestSuite(t *testing.T) {
	var refused []string
	for _, draft := range []string{"draft7", "draft2020-12"} {
		files, err := filepath.Glob("testdata/suite/" + draft + "/*.json")
		if err != nil || len(files) < 20 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, file := range files {
			t.Run(draft+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				for _, g := range readGroups(t, file) {
					if !bytes.HasPrefix(bytes.TrimSpace(g.Schema), []byte("{")) {
						continue // true and false: a client can't send these
					}
					s, err := Compile(inDraft(t, g.Schema, draft), false)
					if err != nil {
						refused = append(refused, fmt.Sprintf("%s/%s: %s\n\t%s", draft, filepath.Base(file), g.Description, err))
						continue
					}
					for _, tt := range g.Tests {
						if err := s.Check(tt.Data); (err == nil) != tt.Valid {
							t.Errorf("%s, %s: want valid %v, got %v", g.Description, tt.Description, tt.Valid, err)
						}
					}
				}
			})
		}
	}
	slices.Sort(refused)
	golden.File(t, "testdata/refused.txt", strings.Join(refused, "\n")+"\n")
}

func readGroups(t *testing.T, file string) []suiteGroup {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var groups []suiteGroup
	if err := json.Unmarshal(data, &groups); err != nil {
		t.Fatal(err)
	}
	return groups
}

// inDraft names the draft in a schema that names none: the suite's folder says it.
func inDraft(t *testing.T, schema json.RawMessage, draft string) []byte {
	if draft == "draft2020-12" || bytes.Contains(schema, []byte(`"$schema"`)) {
		return schema
	}
	return append([]byte(`{"$schema":"http://json-schema.org/draft-07/schema#",`), bytes.TrimSpace(schema)[1:]...)
}
