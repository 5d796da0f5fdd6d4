package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// What models get wrong most often in the arguments of a call is a type: a number in quotes, a list as a
// string of JSON. Fit puts that right where there is one way to understand it, and leaves all else alone.
//
//	the schema wants   the value is                     it becomes
//	string             a number or a boolean            its text
//	integer            a string of one without . or e   the number
//	number, boolean,   a string that holds one          the value in it
//	null, list, object

// maxRounds is how often Fit converts and checks again: a string that holds an object brings that object's values.
const maxRounds = 3

// Fit is Check for values that a model wrote: where the schema leaves no doubt, a value of the
// wrong type is converted, "5" to 5 where an integer must stand, a string that holds a list to
// that list, 5 to "5". fitted is the value when nothing was to be converted. The members of a
// value that was converted come in alphabetical order. Errors are Check's, about the value as
// it came. fitted is nil with an error, and may share memory with value without one.
//
// The value is checked at most four times, each with a budget of its own.
func (s *Schema) Fit(value []byte) (fitted []byte, err error) {
	v, err := decode(value, maxValues)
	if err != nil {
		return nil, &mismatch{problems: []string{err.Error()}}
	}
	first := s.check(v)
	err = first
	// A conversion may make further ones possible: a string that holds a list of strings that should be numbers.
	for range maxRounds {
		if err == nil {
			break
		}
		var wrong *mismatch
		if !errors.As(err, &wrong) || wrong.cause == nil {
			return nil, first
		}
		converted := false
		if v, converted = convert(v, leaves(wrong.cause, true)); !converted {
			return nil, first
		}
		err = s.check(v)
	}
	switch {
	// It fits as it came, in its own spelling.
	case first == nil:
		return value, nil
	case err != nil:
		return nil, first
	}
	return encode(v), nil
}

// convert converts every value in v that has a wrong type and only one right one. It changes
// v's objects and lists in place, and returns v, or what has taken its place. A type is "only
// one right one" when the schema's own "type" names one; a list of types is left alone.
func convert(v any, wrong []*jsonschema.ValidationError) (fixed any, converted bool) {
	for _, e := range wrong {
		k, ok := e.ErrorKind.(*kind.Type)
		if !ok || len(k.Want) != 1 {
			continue
		}
		v = replace(v, e.InstanceLocation, func(old any) any {
			new, ok := as(old, k.Want[0])
			if !ok {
				return old
			}
			converted = true
			return new
		})
	}
	return v, converted
}

// replace changes what stands at a location in v. A location that isn't there changes nothing.
//
// change is called once at most, with what stands there.
func replace(v any, location []string, change func(any) any) any {
	if len(location) == 0 {
		return change(v)
	}
	switch v := v.(type) {
	case map[string]any:
		if inner, has := v[location[0]]; has {
			v[location[0]] = replace(inner, location[1:], change)
		}
	case []any:
		if i, err := strconv.Atoi(location[0]); err == nil && i < len(v) {
			v[i] = replace(v[i], location[1:], change)
		}
	}
	return v
}

// as is v as a value of type want, if there is but one way to understand it: 5 as "5", true as "true", and a string as the
// JSON that it holds.
//
// A conversion must be one that nobody would dispute: 5.0 is no integer here, and "yes" no boolean.
func as(v any, want string) (any, bool) {
	switch v := v.(type) {
	case json.Number:
		if want == "string" {
			return v.String(), true
		}
	case bool:
		if want == "string" {
			return strconv.FormatBool(v), true
		}
	case string:
		return fromString(v, want)
	}
	return nil, false
}

// fromString reads a string that holds a value of another type, as JSON. A number counts as an
// integer only when one is wanted.
func fromString(s, want string) (any, bool) {
	inner, err := decode([]byte(s), maxValues)
	if err != nil {
		return nil, false
	}
	is := ""
	switch inner := inner.(type) {
	case nil:
		is = "null"
	case bool:
		// is names the type in JSON Schema's words.
		is = "boolean"
	case json.Number:
		is = "number"
		if !strings.ContainsAny(inner.String(), ".eE") && want == "integer" {
			is = want
		}
	case map[string]any:
		is = "object"
	case []any:
		is = "array"
	}
	return inner, is == want
}

// encode writes a value without changing its numbers.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // it came from JSON
	}
	return slices.Clip(bytes.TrimSpace(b.Bytes()))
}
