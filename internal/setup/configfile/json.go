package configfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// decodeJSON reads JSON with comments.
//
// Comments and trailing commas are taken out first, because encoding/json knows neither. An empty
// file is an empty object: several clients make such a file at their first start.
func decodeJSON(text string) (any, error) {
	if strings.TrimSpace(text) == "" {
		return map[string]any{}, nil
	}
	v, err := hujson.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	v.Standardize()
	return treeOf(v.Pack())
}

// treeOf is JSON as the tree in which values of all three formats are compared.
func treeOf(data []byte) (tree any, err error) {
	err = json.Unmarshal(data, &tree)
	return tree, err
}

// parseJSON parses a file whose root is an object, or a list if the path to an element of it is asked for. An empty text is
// an empty one of these.
//
// The result keeps every byte of the text, comments included: Pack on it gives the text back.
func parseJSON(text string, path Path) (*hujson.Value, error) {
	if strings.TrimSpace(text) == "" {
		text = "{}\n"
		if len(path) > 0 && strings.HasPrefix(path[0], "[") {
			text = "[]\n"
		}
	}
	v, err := hujson.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	switch v.Value.(type) {
	case *hujson.Object, *hujson.Array:
	default:
		return nil, fmt.Errorf("%w: it holds no object", ErrUnusual)
	}
	return &v, nil
}

// setJSON walks down path as far as there is something, and does one of two things: it replaces the
// value where the path ends, or puts what is missing of the path into the last object or list that
// is there.
func setJSON(text string, path Path, value []byte) (string, error) {
	root, err := parseJSON(text, path)
	if err != nil {
		return "", err
	}
	unit := indentUnit(text)
	at := root
	for depth, key := range path {
		last := depth == len(path)-1
		next, err := child(at, key)
		if err != nil {
			return "", err
		}
		if next == nil {
			// key is missing in at. Everything below it is built as one value: for the path a.b.c
			// with a alone there, {"c": value} is what is put into a as b.
			rest := value
			for i := len(path) - 1; i > depth; i-- { // the objects on the way are made
				rest = wrap(path[i], rest)
			}
			return insert(root, at, key, rest, depth+1, unit)
		}
		if last {
			// Only the value is replaced, so the white space and the comments around it stay.
			fresh, err := parsed(value, depth+1, unit)
			if err != nil {
				return "", err
			}
			next.Value = fresh
			return string(root.Pack()), nil
		}
		at = next
	}
	// Only for an empty path: the whole file is never replaced.
	return "", fmt.Errorf("%w: there is no path", ErrUnusual)
}

// wrap is an object with one key, or a list with one element.
//
// wrap("env", 1) is {"env":1}. An element's value has to hold the field by which it is found; the
// caller sees to that, and verify notices when it doesn't.
func wrap(key string, value []byte) []byte {
	if _, _, ok := element(key); ok {
		return []byte("[" + string(value) + "]")
	}
	name, _ := json.Marshal(key) // a string
	return []byte("{" + string(name) + ":" + string(value) + "}")
}

// child is the value below key; nil when there is none.
//
// The error ErrUnusual is for a composite of the wrong kind: a list where the path names a key, an
// object where it names an element, or a plain value on the way. The result points into at, so a
// change of it is a change of the file.
func child(at *hujson.Value, key string) (*hujson.Value, error) {
	field, value, isElement := element(key)
	switch composite := at.Value.(type) {
	case *hujson.Object:
		for i := range composite.Members {
			if m := &composite.Members[i]; !isElement && m.Name.Value.(hujson.Literal).String() == key {
				return &m.Value, nil
			}
		}
		if !isElement {
			return nil, nil
		}
	case *hujson.Array:
		for i := range composite.Elements {
			e := &composite.Elements[i]
			if object, ok := e.Value.(*hujson.Object); ok && isElement {
				// The first element with this value counts. A number or a boolean never equals the
				// text of a path.
				for _, m := range object.Members {
					literal, ok := m.Value.Value.(hujson.Literal)
					if ok && m.Name.Value.(hujson.Literal).String() == field && literal.Kind() == '"' && literal.String() == value {
						return e, nil
					}
				}
			}
		}
		if isElement {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("%w: there is something else at %s", ErrUnusual, key)
}

// parsed is value, spread over lines, for a place at the given depth.
//
// value is compact JSON; what people read in their file is indented as the file is. unit is the
// white space of one step, depth how many steps the line has on which the value begins.
func parsed(value []byte, depth int, unit string) (hujson.ValueTrimmed, error) {
	var spread bytes.Buffer
	if err := json.Indent(&spread, value, strings.Repeat(unit, depth), unit); err != nil {
		return nil, err
	}
	v, err := hujson.Parse(spread.Bytes())
	return v.Value, err
}

// insert puts a member or an element at the end of at. It keeps to a trailing comma that is there, and to the way in which
// the last member is set off.
//
// root is the whole file and at a part of it: at is changed in place, and root is packed. depth is
// that of the new member's line, so the closing bracket belongs one step further left.
//
//	{                      {
//	  "a": 1 // one          "a": 1, // one
//	}                        "b": 2
//	                       }
func insert(root, at *hujson.Value, key string, value []byte, depth int, unit string) (string, error) {
	fresh, err := parsed(value, depth, unit)
	if err != nil {
		return "", err
	}
	// An Extra is hujson's word for what stands between two tokens: white space and comments.
	before := hujson.Extra("\n" + strings.Repeat(unit, depth))
	end := hujson.Extra("\n" + strings.Repeat(unit, depth-1))
	switch composite := at.Value.(type) {
	case *hujson.Object:
		name, _ := json.Marshal(key) // a string
		m := hujson.ObjectMember{
			Name:  hujson.Value{BeforeExtra: before, Value: hujson.Literal(name)},
			Value: hujson.Value{BeforeExtra: hujson.Extra(" "), Value: fresh},
		}
		// In an empty object there is no last member to keep to.
		if n := len(composite.Members); n > 0 {
			m.Value.AfterExtra = takeOver(&composite.Members[n-1].Value, &composite.AfterExtra, &m.Name.BeforeExtra)
		}
		composite.Members = append(composite.Members, m)
		composite.AfterExtra = closing(composite.AfterExtra, end)
	case *hujson.Array:
		e := hujson.Value{BeforeExtra: before, Value: fresh}
		if n := len(composite.Elements); n > 0 {
			e.AfterExtra = takeOver(&composite.Elements[n-1], &composite.AfterExtra, &e.BeforeExtra)
		}
		composite.Elements = append(composite.Elements, e)
		composite.AfterExtra = closing(composite.AfterExtra, end)
	}
	return string(root.Pack()), nil
}

// takeOver makes what was last no longer last. A comment behind it stays behind it, and whether there is a trailing comma
// (which hujson keeps as an AfterExtra that is not nil) is now a matter of the new last value.
//
// end is what stands before the closing bracket, and before what stands before the new value; both
// are changed. Without this, a comment on the line of the last value would end up behind the new
// one.
func takeOver(last *hujson.Value, end, before *hujson.Extra) (after hujson.Extra) {
	after = last.AfterExtra
	// hujson packs a comma behind every value but the last, and behind the last when its AfterExtra
	// is not nil. So nil and empty differ here.
	if len(last.AfterExtra) > 0 {
		after = hujson.Extra{}
	}
	if comment := bytes.TrimRight(*end, " \t\r\n"); len(bytes.TrimSpace(comment)) > 0 {
		*before = append(bytes.Clone(comment), *before...)
		*end = (*end)[len(comment):]
	}
	return after
}

// closing is what stands before the closing bracket: what was there, if it has a line break.
//
// An object that was written on one line, as {}, gets a line break here, because the new member
// stands on a line of its own.
func closing(was, end hujson.Extra) hujson.Extra {
	if bytes.Contains(was, []byte("\n")) {
		return was
	}
	return end
}

// removeJSON takes one member or element out. What is then empty stays: "env": {} is for the caller
// to take out, which knows whether it was there before.
func removeJSON(text string, path Path) (string, error) {
	root, err := parseJSON(text, path)
	if err != nil {
		return "", err
	}
	at := root
	for _, key := range path[:len(path)-1] {
		// Nothing there is no error, and text goes back as it came.
		if at, err = child(at, key); err != nil || at == nil {
			return text, err
		}
	}
	gone, err := child(at, path[len(path)-1])
	if err != nil || gone == nil {
		return text, err
	}
	switch composite := at.Value.(type) {
	case *hujson.Object:
		composite.Members = removeFrom(composite.Members, gone, &composite.AfterExtra,
			func(m *hujson.ObjectMember) *hujson.Value { return &m.Value },
			func(m *hujson.ObjectMember) *hujson.Extra { return &m.Name.BeforeExtra })
	case *hujson.Array:
		composite.Elements = removeFrom(composite.Elements, gone, &composite.AfterExtra,
			func(e *hujson.Value) *hujson.Value { return e },
			func(e *hujson.Value) *hujson.Extra { return &e.BeforeExtra })
	}
	return string(root.Pack()), nil
}

// removeFrom takes the item whose value is gone out of the items of an object or an array, and returns those that are left. gone
// is a pointer that child has found, because two members may have one name. end is what stands before the closing bracket, and
// before what stands before an item.
func removeFrom[T any](items []T, gone *hujson.Value, end *hujson.Extra, value func(*T) *hujson.Value, before func(*T) *hujson.Extra) []T {
	i := 0
	for value(&items[i]) != gone {
		i++
	}
	next := end
	switch {
	case i+1 < len(items):
		next = before(&items[i+1])
	case i > 0:
		// The last item goes: the one before it becomes the last, and takes over whether a trailing comma follows.
		value(&items[i-1]).AfterExtra = gone.AfterExtra
	}
	handOn(*before(&items[i]), next)
	items = slices.Delete(items, i, i+1)
	var left []hujson.Extra
	for i := range items {
		left = append(left, *before(&items[i]))
	}
	*end = drawnIn(*end, left)
	return items
}

// drawnIn is what stands before a closing bracket, after what else is between the brackets, each with what stands before it.
// Where all of that is on one line, or nothing is left, the bracket goes there, too: insert has put it on a line of its own.
func drawnIn(closing hujson.Extra, before []hujson.Extra) hujson.Extra {
	if len(bytes.TrimSpace(closing)) > 0 {
		return closing // a comment
	}
	if len(before) == 0 {
		return nil
	}
	for _, b := range before {
		if bytes.ContainsRune(b, '\n') {
			return closing
		}
	}
	return before[0] // {"a": 1} or { "a": 1 }
}

// handOn keeps a comment that stood before a value which is gone.
//
// A comment above a value may be about the values that follow, too. It is never deleted with the
// value; it goes to what follows, or to the closing bracket.
func handOn(before hujson.Extra, next *hujson.Extra) {
	if comment := bytes.TrimRight(before, " \t\r\n"); len(bytes.TrimSpace(comment)) > 0 {
		*next = append(bytes.Clone(comment), *next...)
	}
}

// indentUnit is the white space by which the file's first line that is indented begins; two blanks when there is none.
//
// The first such line is at depth 1 in every file whose root spreads over lines. A file with tabs
// is so written on with tabs.
func indentUnit(text string) string {
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " \t")
		if indent := line[:len(line)-len(trimmed)]; indent != "" && strings.TrimSpace(trimmed) != "" {
			return indent
		}
	}
	return "  "
}
