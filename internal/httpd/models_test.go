package httpd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/golden"
	"composer-api/internal/httpd"
)

// goldenJSON compares a JSON answer, indented, with a file of testdata.
func goldenJSON(t *testing.T, name string, answer []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, answer, "", "  "); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	golden.File(t, filepath.Join("testdata", name), pretty.String())
}

func TestModels(t *testing.T) {
	s := newServer(httpd.Config{Models: catalog.New(catalog.Config{
		Fetch: func(_ context.Context, key agent.Secret) ([]catalog.Listed, error) {
			if key.Reveal() == "crsr_bad" {
				return nil, &agent.Error{Code: agent.InvalidKey}
			}
			return []catalog.Listed{{ID: "composer-2.5", DisplayName: "Composer 2.5", Parameters: []catalog.Parameter{{ID: "fast", Values: []string{"false", "true"}}}}}, nil
		},
	})})
	for file, path := range map[string]string{
		"models.json":            "/v1/models",
		"models-opencodev2.json": "/opencodev2/v1/models",
		"model.json":             "/v1/models/composer-2.5-fast",
		"model-unknown.json":     "/v1/models/nobody:7b",
	} {
		goldenJSON(t, file, do(t, s, exchange{"GET " + path, nil, ""}).Body.Bytes())
	}
	w := do(t, s, exchange{"GET /v1/models", withKey("crsr_bad"), ""})
	if w.Code != 401 {
		t.Errorf("with a bad key: status %d", w.Code)
	}
	goldenJSON(t, "models-bad-key.json", w.Body.Bytes())
}
