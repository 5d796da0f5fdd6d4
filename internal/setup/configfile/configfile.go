// Package configfile changes single values in the configuration files of other programs, and leaves
// every other byte as it is: comments, order, blank lines, whatever somebody has put there by hand.
//
// It knows JSON with comments, TOML and YAML, each as far as the clients that we set up need it. An
// edit cuts text out of the file or puts text in, at the places that the format's parser names.
// Then the result is parsed again, and it must differ from what was there in the value that was to
// change and in nothing else. A file that is written in a way which an edit does not understand is
// an error ([ErrUnusual]), and never a damaged file.
//
//	text ── decode ──► tree ── lookUp ──► value          Get
//	text ── set, remove ──► text, then verify            Set, Delete
//	            │
//	            json.go, toml.go, yaml.go: one file a format, all with the same three functions
//
// All functions are pure: they take the text of a file and return another, and touch no disk. They
// may be called from any goroutine.
package configfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A Format is the format of a file.
type Format string

// The formats that can be edited.
const (
	JSON Format = "json" // with comments and trailing commas, where they are there already
	TOML Format = "toml"
	YAML Format = "yaml"
)

// A Path leads to a value: the keys of objects. A key that begins with [ names an element of a list, by the value of a field
// that the list's elements have: "[name=Composer]".
//
// Examples: {"env", "ANTHROPIC_MODEL"} and {"models", "[name=Composer]"}. The empty path is the
// whole file; it can be read and not set.
type Path []string

// String is the path for people: models.[name=Composer].
func (p Path) String() string { return strings.Join(p, ".") }

// element reads a key of the form [field=value].
func element(key string) (field, value string, ok bool) {
	// A value may itself hold "=" or "]": only the first "=" and the last "]" count.
	inner, ok := strings.CutPrefix(key, "[")
	if !ok {
		return "", "", false
	}
	field, value, ok = strings.Cut(strings.TrimSuffix(inner, "]"), "=")
	return field, value, ok
}

// ErrUnusual is the error for a file that is written in a way that can't be edited here, although its own program may read it.
//
// Callers show it with the file's path before it, so the text reads on from there: "settings.json:
// is written in a way …". Test with errors.Is: what was unusual follows it in the message.
var ErrUnusual = errors.New("is written in a way that can't be changed safely")

// Set returns text with the value at path replaced by value, or put there. value is anything that encoding/json takes, or
// a json.RawMessage. Objects on the way are made. text may be empty.
//
// Errors: the parser's own for a text that is not of the format, else ErrUnusual. With an error the
// returned text must not be written.
func Set(format Format, text string, path Path, value any) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	// A value that is there already is not written again: the text would come back with our
	// indentation and without the comments inside the value. So setting up twice changes nothing.
	if was, ok, err := Get(format, text, path); err == nil && ok && was == Canonical(encoded) {
		return text, nil
	}
	result, err := setters[format].set(text, path, encoded)
	if err != nil {
		return "", err
	}
	return result, verify(format, text, result, path, encoded)
}

// Delete returns text without the value at path. It is no error that there is none.
func Delete(format Format, text string, path Path) (string, error) {
	// Asked before, so the setters below may take it that the value is there.
	if _, ok, err := Get(format, text, path); err != nil || !ok {
		return text, err
	}
	result, err := setters[format].remove(text, path)
	if err != nil {
		return "", err
	}
	// The text is returned together with verify's error; callers look at the error first.
	return result, verify(format, text, result, path, nil)
}

// Get is the value at path as compact JSON with sorted keys, so that equal values are equal texts.
//
// ok is false when there is nothing at path. That is also so when there is something of another
// kind on the way, such as a text where an object would have to be.
func Get(format Format, text string, path Path) (value string, ok bool, err error) {
	tree, err := setters[format].decode(text)
	if err != nil {
		return "", false, err
	}
	found, ok := lookUp(tree, path)
	if !ok {
		return "", false, nil
	}
	encoded, err := json.Marshal(found)
	return string(encoded), true, err
}

// Canonical is JSON in the form that Get returns; "" for what is no JSON.
//
// Compare with what Get returns by ==.
func Canonical(value []byte) string {
	var tree any
	if json.Unmarshal(value, &tree) != nil {
		return ""
	}
	encoded, _ := json.Marshal(tree) // it has just been read
	return string(encoded)
}

// A setter is what is done for each format. decode gives the tree that encoding/json would give. An empty text is an empty
// object.
//
// value is JSON in every format: what to write is the same for all, and each setter translates it.
type setter struct {
	// set and remove change the value and leave everything else in the text as it is. ErrUnusual: the file can't be changed so.
	set    func(text string, path Path, value []byte) (string, error)
	remove func(text string, path Path) (string, error)
	decode func(text string) (any, error)
}

// setters has a row for each Format.
var setters = map[Format]setter{
	JSON: {setJSON, removeJSON, decodeJSON},
	TOML: {setTOML, removeTOML, decodeTOML},
	YAML: {setYAML, removeYAML, decodeYAML},
}

// lookUp follows path in a decoded tree.
func lookUp(tree any, path Path) (any, bool) {
	for _, key := range path {
		if field, value, ok := element(key); ok {
			list, _ := tree.([]any)
			i := slices.IndexFunc(list, func(e any) bool { return isElement(e, field, value) })
			if i < 0 {
				return nil, false
			}
			tree = list[i]
			continue
		}
		object, _ := tree.(map[string]any)
		inner, ok := object[key]
		if !ok {
			return nil, false
		}
		tree = inner
	}
	return tree, true
}

// isElement reports whether e is an object whose field has this value. Only texts are compared: a
// list is not searched by numbers.
func isElement(e any, field, value string) bool {
	object, _ := e.(map[string]any)
	return object[field] == value
}

// verify is an error unless after is before with the value at path replaced by value (nil: without it).
//
// This is what makes the edits safe to run on a file that we have never seen. The setters work on
// text and on positions that a parser gave them; a mistake in one of them shows here, before
// anything is written.
func verify(format Format, before, after string, path Path, value []byte) error {
	// Decoding compares values and not text, so it can't see that a comment was lost. The tests
	// look for those.
	old, err := setters[format].decode(before)
	if err != nil {
		return err
	}
	// A text that no longer parses is our mistake and not the user's; it counts as unusual, because
	// the file stays as it is.
	now, err := setters[format].decode(after)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnusual, err)
	}
	got, ok := lookUp(now, path)
	// There after a deletion, or not there after a set.
	if ok != (value != nil) {
		return fmt.Errorf("%w: %s did not change", ErrUnusual, path)
	}
	if value != nil {
		var want any
		if err := json.Unmarshal(value, &want); err != nil {
			return err
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("%w: %s did not change", ErrUnusual, path)
		}
	}
	// What is around the value. Objects that were made on the way to it do not count; see without.
	if !reflect.DeepEqual(without(old, path), without(now, path)) {
		return fmt.Errorf("%w: more than %s would change", ErrUnusual, path)
	}
	return nil
}

// without is tree without the value at path, and without what is then empty on the way.
//
// The second is needed because Set makes the objects on the way to a value: {} and {"env": {"A":
// 1}} are equal without env.A. It never changes the tree that it is given.
func without(tree any, path Path) any {
	key, rest := path[0], path[1:]
	if field, value, ok := element(key); ok {
		// A key of the form [field=value] looks at every element: two that have the same value are
		// both taken out, on both sides of the comparison.
		var kept []any
		list, _ := tree.([]any)
		for _, e := range list {
			if isElement(e, field, value) {
				if len(rest) == 0 {
					continue
				}
				e = without(e, rest)
			}
			kept = append(kept, e)
		}
		return emptyIsNil(kept)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		// Something of another kind is on the way. It is part of what must not change.
		return tree
	}
	kept := make(map[string]any)
	for k, v := range object {
		if k == key {
			if len(rest) == 0 {
				continue
			}
			if v = without(v, rest); v == nil {
				continue
			}
		}
		kept[k] = v
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// emptyIsNil makes an empty list equal to none at all, as without does for objects.
func emptyIsNil(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list
}
