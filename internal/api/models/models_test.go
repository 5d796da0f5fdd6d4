package models_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/models"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/published"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/golden"
)

// upstreams are what the models would be asked by: err is nil when they are there.
type upstreams struct{ err error }

func (u upstreams) Configured(string) error {
	if agent.CodeOf(u.err) == agent.NotConfigured {
		return u.err
	}
	return nil
}

func (u upstreams) Reachable(context.Context, string) error { return u.err }

// get carries out GET target for call on the surface's handler, and returns the answer as httpd would render it.
func get(t *testing.T, source models.Source, behind upstreams, target string, call *api.Call) *httptest.ResponseRecorder {
	t.Helper()
	r, w := httptest.NewRequestWithContext(t.Context(), "GET", target, nil), httptest.NewRecorder()
	routes := models.Routes(source, behind)
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
		published    string // what OpenAI calls the answer
	}{
		{"models.json", "/models", good, 200, "ListModelsResponse"},
		{"models-opencodev2.json", "/models", reference, 200, "ListModelsResponse"},
		{"model.json", "/models/composer-2.5-fast", good, 200, "Model"},
		{"model-unknown.json", "/models/nobody:7b", good, 404, "ErrorResponse"},
		{"models-bad-key.json", "/models", bad, 401, "ErrorResponse"},
	} {
		w := get(t, source, upstreams{}, tc.target, &tc.call)
		if w.Code != tc.status {
			t.Errorf("%s: status %d, want %d", tc.file, w.Code, tc.status)
		}
		published.Valid(t, tc.published, w.Body.Bytes())
		goldenJSON(t, tc.file, w.Body.Bytes())
	}
}

// A client of Anthropic's API that goes through pages by hand comes to an end.
func TestPagesOfAnthropicsList(t *testing.T) {
	source := catalog.New(catalog.Config{Fetch: func(context.Context, agent.Secret) ([]catalog.Listed, error) {
		return []catalog.Listed{{ID: "a"}, {ID: "b"}, {ID: "c"}}, nil
	}})
	whole := anthropic(t, source, "")
	var all []string
	for _, m := range whole.Data {
		all = append(all, m.ID)
	}
	if len(all) < 3 || whole.HasMore {
		t.Fatalf("the whole list is %+v", whole)
	}
	first, last := all[0], all[len(all)-1]
	for query, want := range map[string]string{
		"?limit=1000":                                strings.Join(all, " ") + " false",
		"?limit=2":                                   all[0] + " " + all[1] + " true",
		"?limit=1&after_id=" + first:                 all[1] + " true",
		"?limit=2&after_id=" + all[len(all)-2]:       last + " false",
		"?after_id=" + last:                          " false",
		"?before_id=" + all[2] + "&limit=1":          all[1] + " true",
		"?before_id=" + all[1] + "&limit=5":          first + " false",
		"?after_id=" + first + "&before_id=" + first: " 400",
		"?after_id=nobody":                           " 400",
		"?limit=0":                                   " 400",
		"?limit=x":                                   " 400",
	} {
		var got []string
		page := anthropic(t, source, query)
		for _, m := range page.Data {
			got = append(got, m.ID)
		}
		end := fmt.Sprint(page.HasMore)
		if page.status != 200 {
			end = fmt.Sprint(page.status)
		}
		if text := strings.Join(got, " ") + " " + end; text != want {
			t.Errorf("%s: %q, want %q", query, text, want)
		}
	}
}

// anthropicAnswer is the answer of GET /models in Anthropic's form.
type anthropicAnswer struct {
	Data []struct {
		ID string `json:"id"`
	} `json:"data"`
	HasMore bool `json:"has_more"`
	status  int
}

// anthropic asks for the list as a client of Anthropic's API does.
func anthropic(t *testing.T, source models.Source, query string) (a anthropicAnswer) {
	t.Helper()
	r, w := httptest.NewRequestWithContext(t.Context(), "GET", "/models"+query, nil), httptest.NewRecorder()
	r.Header.Set("anthropic-version", "2023-06-01")
	if err := models.Routes(source, upstreams{})[0].Handle(w, r, &api.Call{Caller: agent.Caller{Owner: "k:1", CursorKey: agent.NewSecret("k")}}); err != nil {
		openai.WriteError(w, err)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	a.status = w.Code
	return a
}

// TestNoModelIsListedThatNobodyCouldAnswerFor has the catalogue away, so that it matters whether upstream is.
func TestNoModelIsListedThatNobodyCouldAnswerFor(t *testing.T) {
	away := catalog.New(catalog.Config{Fetch: func(context.Context, agent.Secret) ([]catalog.Listed, error) {
		return nil, agent.Errorf(agent.Upstream, "The catalogue is away.")
	}})
	there := catalog.New(catalog.Config{})
	unreachable := agent.Errorf(agent.Upstream, "Cursor can't be reached at http://cursor.test: nothing listens there.")
	notConfigured := agent.Errorf(agent.NotConfigured, "There is no upstream.")
	for _, tt := range []struct {
		name   string
		source *catalog.Catalog
		behind error
		target string
		status int
		want   string
		warns  bool
	}{
		{"only the catalogue is away", away, nil, "/models", 200, `"catalogue":"builtin"`, true},
		{"upstream is away, too", away, unreachable, "/models", 502, "http://cursor.test", false},
		{"only upstream is away", there, unreachable, "/models", 200, `"id":"composer-2.5"`, false},
		{"there is no upstream", there, notConfigured, "/models", 503, "There is no upstream.", false},
		{"one model, and no upstream", there, notConfigured, "/models/composer-2.5", 503, "There is no upstream.", false},
	} {
		w := get(t, tt.source, upstreams{tt.behind}, tt.target, &api.Call{Caller: agent.Caller{Owner: "k:1"}})
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: status %d: %s", tt.name, w.Code, w.Body)
		}
		if got := w.Header().Get("Warning"); (got != "") != tt.warns {
			t.Errorf("%s: the warning is %q", tt.name, got)
		}
	}
}
