package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// From the text of a schema to a Schema. A schema comes from whoever calls the API, so three
// things are bounded: its size (maxSize, maxObjects, maxDepth), the steps of a check (budget),
// and the time of its patterns (pattern.go). Nothing is read from disk or network.

// Bounds on a schema. OpenAI takes 5,000 properties, ten levels deep.
const (
	maxSize    = 512 << 10 // bytes
	maxObjects = 5_000     // objects in it; the library compares each with every other
	maxDepth   = 200       // objects and arrays in each other, of a schema as of a value
)

// A Schema is ready to check values. It is safe for concurrent use, but checks one value at a time: the budget is reached by
// way of the compiled schema, which has one.
type Schema struct {
	mu     sync.Mutex // guards the budget, which is one check's
	budget *budget
	// compiled doesn't change.
	compiled *jsonschema.Schema
}

// Compile reads a schema. strict closes its objects; see [closeObjects]. An error says in a
// sentence for the client what is wrong with the schema, such as "it is nested more than 200
// levels deep"; it may quote it. raw is not kept.
//
// It takes some milliseconds for a large schema, so callers compile once for a turn.
func Compile(raw []byte, strict bool) (*Schema, error) {
	if len(raw) > maxSize {
		return nil, fmt.Errorf("it is larger than %d KB", maxSize>>10)
	}
	doc, err := decode(raw, maxObjects)
	if err != nil {
		return nil, err
	}
	if strict {
		closeObjects(doc)
	}
	s := &Schema{budget: &budget{}}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	// Nothing is fetched, whatever $ref and $schema name.
	c.UseLoader(nowhere{})
	c.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) { return compilePattern(pattern, s.budget) })
	// A vocabulary of ours that has no keywords: the library calls it for every object, which is
	// what a step is.
	c.RegisterVocabulary(&jsonschema.Vocabulary{URL: "https://schema.invalid/counted", Compile: s.count})
	c.AssertVocabs()
	if err := c.AddResource(home, doc); err != nil {
		return nil, unusable(err)
	}
	if s.compiled, err = c.Compile(home); err != nil {
		return nil, unusable(err)
	}
	return s, nil
}

// home is the address that a schema without one is given. Its domain is one that never exists (RFC 2606).
const home = "https://schema.invalid/schema"

// nowhere is the loader of whatever a schema refers to outside of itself: there is nothing.
type nowhere struct{}

// errElsewhere is why a schema that refers to another document can't be used: nothing is fetched.
var errElsewhere = errors.New("is not fetched")

// Load implements jsonschema.URLLoader.
func (nowhere) Load(string) (any, error) { return nil, errElsewhere }

// unusable says why the library would not take a schema, without the address that we gave it.
// The sentence goes on from the name of the client's field.
func unusable(err error) error {
	var invalid *jsonschema.SchemaValidationError
	var load *jsonschema.LoadURLError
	var mismatch *jsonschema.ValidationError
	switch {
	case errors.As(err, &load):
		url := strings.TrimPrefix(load.URL, "https://schema.invalid/")
		return fmt.Errorf("it refers to '%s', which is not in it, and nothing is fetched. Put the definition into '$defs'", clip(url, maxQuoted))
	case errors.As(err, &invalid) && errors.As(invalid.Err, &mismatch):
		return fmt.Errorf("it is not a valid JSON Schema: %s", strings.Join(problems(mismatch), "; "))
	}
	return fmt.Errorf("it is not a valid JSON Schema: %s", clip(strings.ReplaceAll(err.Error(), home, ""), maxProblem))
}

// maxQuoted bounds what of a schema an error quotes, in bytes.
const maxQuoted = 200

// clip shortens s to about n bytes. The cut is never within a character; "…" comes after it.
//
// n is in bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// A budget bounds the work of one check. It is one for a Schema, and set again at the beginning
// of each check. Whoever reads or writes it is within a check and so holds Schema.mu.
type budget struct {
	steps   int // evaluations of a schema that are left
	regexps     // time
}

// maxSteps is how often a check may evaluate a schema. References and alternatives within each other multiply: without a
// bound a small schema and a small value could keep a processor busy for ever.
const maxSteps = 300_000

// errTooMuch is what a check panics with, within this package, when its budget is spent: the library has no other way out.
var errTooMuch = errors.New("schema: checking the value takes too long")

// count makes the library count the evaluations of each schema object.
func (s *Schema) count(*jsonschema.CompilerContext, map[string]any) (jsonschema.SchemaExt, error) {
	return step{s.budget}, nil
}

// A step counts one evaluation. The library calls Validate for each object of the schema that it evaluates.
type step struct{ *budget }

// Validate implements jsonschema.SchemaExt.
func (s step) Validate(*jsonschema.ValidatorContext, any) {
	if s.steps--; s.steps < 0 {
		panic(errTooMuch)
	}
}

// errNoJSON is the error of what no JSON parser takes.
var errNoJSON = errors.New("it is not valid JSON")

// decode reads one JSON value of bounded depth, with at most so many objects, whose numbers are no
// larger than a double: the library calculates with exact fractions, for which 1e999999999 would
// need a gigabyte. It reads the value twice: first its tokens, to see that it keeps to the bounds,
// then into memory. Its errors are sentences as Compile has them, and quote nothing of raw.
func decode(raw []byte, objects int) (any, error) {
	d := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	held := 0
	for {
		token, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			if err != nil { // two values
				return nil, errNoJSON
			}
			return v, nil
		case err != nil:
			return nil, errNoJSON
		// Before UnmarshalJSON, which recurses.
		case d.StackDepth() > maxDepth:
			return nil, fmt.Errorf("it is nested more than %d levels deep", maxDepth)
		case token.Kind() == '{':
			if held++; held > objects {
				return nil, fmt.Errorf("it holds more than %d objects", objects)
			}
		case token.Kind() == '0' && !ordinary(token.String()):
			return nil, errors.New("it holds a number that is too large")
		}
	}
}

// ordinary reports whether a number is one that a double can hold, at least about. "At least
// about": 1e-999 is 0 to a double and still refused, for its exponent.
func ordinary(number string) bool {
	const digits = 400 // more than the largest double has
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || len(number) > digits {
		return false
	}
	_, exponent, has := strings.Cut(strings.ToLower(number), "e")
	if !has {
		return true
	}
	// A number that is 0 to a double may have a huge exponent all the same.
	n, err := strconv.Atoi(exponent)
	return err == nil && n > -digits && n < digits && !math.IsInf(f, 0)
}
