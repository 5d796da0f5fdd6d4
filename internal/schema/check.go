package schema

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Checking a value, and saying what is wrong with it in sentences that a model can act on.
// Nothing of what this file returns is for a client but by way of the model.

// A mismatch is why a value doesn't fit a schema. cause is what Fit needs: the places of the
// values that have a wrong type.
type mismatch struct {
	problems []string // at least one, at most maxProblems

	cause *jsonschema.ValidationError // nil when the value could not be looked at
}

// Error implements error.
func (m *mismatch) Error() string { return strings.Join(m.problems, "\n") }

// ErrTooMuch is the error of a value that takes too long to check. It says nothing about the
// value: callers let it pass or refuse it, but must not tell the model that it is wrong.
var ErrTooMuch = errTooMuch

const (
	// maxProblems bounds what is said of one value: the model has to read it.
	maxProblems = 10
	maxProblem  = 300     // bytes
	maxValues   = 1 << 20 // objects in a value
)

// Check reports what is wrong with a JSON value; nil when it fits. An error other than ErrTooMuch
// says so in sentences for the model that has made the value, such as "at /items/0/price: got string, want number", a few
// lines of them; it quotes the value.
func (s *Schema) Check(value []byte) error {
	v, err := decode(value, maxValues)
	if err != nil {
		return &mismatch{problems: []string{err.Error()}}
	}
	return s.check(v)
}

// check checks a decoded value. The library has no way to stop a check, so a spent budget
// panics with errTooMuch, which is caught here and nowhere else; any other panic goes on.
// Checks of one Schema wait for each other, for the reason told at Schema.
//
// The lock is held for the time of the check, which the budget bounds.
func (s *Schema) check(v any) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.budget = budget{steps: maxSteps}
	defer func() {
		switch p := recover(); p {
		case nil:
		case errTooMuch: //nolint:errorlint // it is this very value that was thrown
			err = ErrTooMuch
		default:
			panic(p)
		}
	}()
	var invalid *jsonschema.ValidationError
	switch err := s.compiled.Validate(v); {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return &mismatch{problems(invalid), invalid}
	default:
		return &mismatch{problems: []string{err.Error()}}
	}
}

// problems are the sentences for a mismatch, sorted, so that the same value gets the same sentences each
// time. At most maxProblems of them, each of at most about maxProblem bytes: the model reads all of it.
//
// An example: "at /items/0/price: got string, want number".
func problems(e *jsonschema.ValidationError) []string {
	printer := message.NewPrinter(language.English)
	var all []string
	for _, leaf := range leaves(e, false) {
		at := "the value"
		if len(leaf.InstanceLocation) > 0 {
			at = "at " + pointer(leaf.InstanceLocation)
		}
		all = append(all, clip(fmt.Sprintf("%s: %s", at, leaf.ErrorKind.LocalizedString(printer)), maxProblem))
	}
	slices.Sort(all) // the library goes over maps
	all = slices.Compact(all)
	return all[:min(len(all), maxProblems)]
}

// leaves are the errors that have no cause of their own. Of alternatives, none of which fits,
// it takes the one that the value comes closest to; with sure it takes none, because nobody
// knows which one was meant. sure is for Fit, which may convert only where it is certain;
// without it the sentences are for a reader who can judge.
func leaves(e *jsonschema.ValidationError, sure bool) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		if sure {
			return []*jsonschema.ValidationError{e}
		}
		return closest(e.Causes)
	}
	var all []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		all = append(all, leaves(cause, sure)...)
	}
	return all
}

// closest are the leaves of the alternative whose errors lie deepest, and of those with the fewest.
//
// An object with one wrong member is closer to what was meant than a text where an object must
// stand.
func closest(alternatives []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	depth := func(all []*jsonschema.ValidationError) int {
		deepest := 0
		for _, e := range all {
			deepest = max(deepest, len(e.InstanceLocation))
		}
		return deepest
	}
	var best []*jsonschema.ValidationError
	for _, a := range alternatives {
		all := leaves(a, false)
		if best == nil || cmp.Or(cmp.Compare(depth(best), depth(all)), cmp.Compare(len(all), len(best))) < 0 {
			best = all
		}
	}
	return best
}

// pointer is a location as a JSON pointer (RFC 6901). The empty location, which is the whole value, is "".
func pointer(location []string) string {
	var b strings.Builder
	for _, token := range location {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
	}
	return b.String()
}
