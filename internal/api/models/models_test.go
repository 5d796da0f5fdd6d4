package models_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/models"
	"composer-api/internal/api/openai"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/golden"
)

// get carries out GET target for call on the surface's handler, and returns the answer as httpd would render it.
func get(t *testing.T, source models.Source, target string, call *api.Call) *httptest.ResponseRecorder {
	t.Helper()
	r, w := httptest.NewRequestWithContext(t.Context(), "GET", target, nil), httptest.NewRecorder()
	routes := models.Routes(source)
	route := routes[0]
	if id, ok := strings.CutPrefix(target, "/models/"); ok {
		route = routes[1]
		r.SetPathValue("id", id)
	}
	if err := route.Handle(w, r, call); err != nil {
		openai.WriteError(w, err)
	}
	return w
}

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
	source := catalog.New(catalog.Config{
		Fetch: func(_ context.Context, key agent.Secret) ([]catalog.Listed, error) {
			if key.Reveal() == "crsr_bad" {
				return nil, &agent.Error{Code: agent.InvalidKey}
			}
			return []catalog.Listed{{ID: "composer-2.5", DisplayName: "Composer 2.5", Parameters: []catalog.Parameter{{ID: "fast", Values: []string{"false", "true"}}}}}, nil
		},
	})
	caller := func(key string) api.Call {
		return api.Call{Caller: agent.Caller{Owner: "k:" + key, CursorKey: agent.NewSecret(key)}}
	}
	good, reference, bad := caller("crsr_good"), caller("crsr_good"), caller("crsr_bad")
	reference.ReferenceNames = true
	for _, tc := range []struct {
		file, target string
		call         api.Call
		status       int
	}{
		{"models.json", "/models", good, 200},
		{"models-opencodev2.json", "/models", reference, 200},
		{"model.json", "/models/composer-2.5-fast", good, 200},
		{"model-unknown.json", "/models/nobody:7b", good, 404},
		{"models-bad-key.json", "/models", bad, 401},
	} {
		w := get(t, source, tc.target, &tc.call)
		if w.Code != tc.status {
			t.Errorf("%s: status %d, want %d", tc.file, w.Code, tc.status)
		}
		goldenJSON(t, tc.file, w.Body.Bytes())
	}
}
