package published

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Errors for people. The library's own would print hundreds of lines for one wrong member of a response.

// explain shortens an error of the JSON Schema library to the places that are at fault. The
// library tells of every branch that didn't match; of a union like the items of a response that
// is some hundred lines. An error of any other kind, and nil, is returned as it is.
//
// A typical result: "/output/0/content/0: missing property 'annotations'; /usage: got null, want
// object". Places are JSON pointers.
func explain(err error) error {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	faults := faultsOf(invalid)
	// That a member is refused may only follow from a fault inside of it or beside it, whose schema so told nothing.
	if known := slices.DeleteFunc(slices.Clone(faults), fault.refused); len(known) > 0 {
		faults = known
	} else {
		deepest := slices.MaxFunc(faults, func(a, b fault) int { return a.depth() - b.depth() }).depth()
		faults = slices.DeleteFunc(faults, func(f fault) bool { return f.depth() < deepest })
	}
	var lines []string
	for _, f := range faults {
		// Sorted and without repetitions: the library's order varies from run to run.
		lines = append(lines, f.String())
	}
	slices.Sort(lines)
	return fmt.Errorf("%s", strings.Join(slices.Compact(lines), "; "))
}

// A fault is one thing that is wrong at one place.
type fault struct{ *jsonschema.ValidationError }

// String is the place as a path and the library's sentence in English.
func (f fault) String() string {
	return "/" + strings.Join(f.InstanceLocation, "/") + ": " + f.ErrorKind.LocalizedString(message.NewPrinter(language.English))
}

// depth is how deep in the value the place is; 0 is the value itself.
func (f fault) depth() int { return len(f.InstanceLocation) }

// refused reports whether a member was not allowed where it stands.
func (f fault) refused() bool {
	_, ok := f.ErrorKind.(*kind.FalseSchema)
	return ok
}

// faultsOf are the faults that make up e. Of the branches of a union they are those of the one that was meant: that
// whose type fits, or else the one that comes furthest.
//
// It is recursive: a union may lie within a branch of another.
func faultsOf(e *jsonschema.ValidationError) []fault {
	switch e.ErrorKind.(type) {
	// A document fails against every branch of a union; most of these faults are beside the point.
	case *kind.AnyOf, *kind.OneOf:
		var best []fault
		for _, cause := range e.Causes {
			if branch := faultsOf(cause); best == nil || score(branch, e) < score(best, e) {
				best = branch
			}
		}
		if best != nil {
			return best
		}
	}
	if len(e.Causes) == 0 {
		return []fault{{e}}
	}
	var all []fault
	for _, cause := range e.Causes {
		all = append(all, faultsOf(cause)...)
	}
	return all
}

// score is how badly a branch of the union e fits: worst is another type, then another role, then
// many faults. The best branch has the lowest score. rest is the place as seen from the union.
//
// For example, an output item {"type": "message", …} with a wrong member fits the branch of
// messages with one fault, and every other branch with a wrong type, too.
func score(branch []fault, e *jsonschema.ValidationError) int {
	n := min(len(branch), 99)
	for _, f := range branch {
		rest := f.InstanceLocation[len(e.InstanceLocation):]
		switch {
		case len(rest) == 0 && isType(f.ErrorKind), len(rest) == 1 && rest[0] == "type":
			n += 10_000
		case len(rest) == 1 && rest[0] == "role":
			n += 1_000
		}
	}
	return n
}

// isType reports whether a value has the wrong type.
func isType(k jsonschema.ErrorKind) bool {
	_, ok := k.(*kind.Type)
	return ok
}
