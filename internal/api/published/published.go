// Package published checks documents against the OpenAPI document that OpenAI publishes, for tests of any package.
//
// The document is not part of this repository. It is looked for at COMPOSER_TEST_OPENAI_SPEC, or else at
// ../shared/data/openai-openapi.json, seen from the root of the repository. Where it isn't, nothing is checked.
//
// The check is stricter than JSON Schema: a member that the document doesn't know is an error, too, unless it is among
// our documented extensions (extensions.go). Otherwise a misspelt member would pass for an extension.
package published

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// variable names the environment variable that says where the OpenAPI document is.
const variable = "COMPOSER_TEST_OPENAI_SPEC"

// besides is where the document is looked for, seen from the root of the repository.
const besides = "../shared/data/openai-openapi.json"

// location is the file name that the compiler knows the document under.
const location = "openapi.json"

// A spec is the document, ready to check against. Its schemas are compiled when they are first
// used. It is one for the process, made by load. After that only schemas and what the compiler
// keeps change, under mu; branches is only read.
//
//	Check(name, doc) ─► branch: which schema of a choice ─► schema: compiled once ─► explain
type spec struct {
	mu       sync.Mutex // a Compiler is for one goroutine
	compiler *jsonschema.Compiler
	// schemas are those that are compiled, by name.
	schemas map[string]*jsonschema.Schema
	// branches names, for schemas that are a choice of others, the one for each type.
	branches map[string]map[string]string
}

// load reads the document once; nil when there is none.
//
// It reads and changes a document of some megabytes, so tests that never check do not pay for it.
var load = sync.OnceValues(func() (*spec, error) {
	path, err := find()
	if path == "" || err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	branches, err := tighten(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &spec{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}, branches: branches}
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	return s, s.compiler.AddResource(location, doc)
})

// find is where the document is; "" when it is nowhere. A path that the environment names must exist.
//
// The root of the repository is the first folder above the test's with a go.mod.
func find() (string, error) {
	if path := os.Getenv(variable); path != "" {
		_, err := os.Stat(path)
		return path, err
	}
	here, err := os.Getwd() // of a test: its package
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			path := filepath.Join(dir, besides)
			if _, err := os.Stat(path); err != nil {
				return "", nil
			}
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", nil
		}
	}
}

// Valid checks a document against a schema of the document, such as "Response". Where there is no document, it says
// nothing.
func Valid(t testing.TB, schema string, doc []byte) {
	t.Helper()
	if err := Check(schema, doc); err != nil {
		t.Errorf("not a valid %s of OpenAI's: %v\n%s", schema, err, doc)
	}
}

// Check is Valid without a test. It may be called concurrently.
func Check(schema string, doc []byte) error {
	s, err := load()
	if s == nil || err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return err
	}
	// An unknown name of a schema is an error, so that a misspelt one does not check nothing.
	compiled, err := s.schema(s.branch(schema, v))
	if err != nil {
		return err
	}
	return explain(compiled.Validate(v))
}

// branch is the schema for a document whose schema is a choice: the one for its type. The library would try all of them,
// and events of a stream have fifty types.
func (s *spec) branch(name string, doc any) string {
	o, _ := doc.(object)
	kind, _ := o["type"].(string)
	if branch := s.branches[name][kind]; branch != "" {
		return branch
	}
	return name
}

// schema compiles the schema of whole documents of that name, once. An unknown name is an error.
func (s *spec) schema(name string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	compiled, ok := s.schemas[name]
	if !ok {
		var err error
		if compiled, err = s.compiler.Compile(location + refPrefix + strictly(name)); err != nil {
			return nil, err
		}
		s.schemas[name] = compiled
	}
	return compiled, nil
}
