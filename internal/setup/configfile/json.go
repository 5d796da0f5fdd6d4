package configfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tailscale/hujson"
)

// decodeJSON reads JSON with comments.
func decodeJSON(text string) (any, error) {
	if strings.TrimSpace(text) == "" {
		return map[string]any{}, nil
	}
	v, err := hujson.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	v.Standardize()
	var tree any
	return tree, unmarshal(v.Pack(), &tree)
}

// unmarshal is json.Unmarshal; it is a function because decode functions return what it fills in.
func unmarshal(data []byte, tree *any) error { return json.Unmarshal(data, tree) }

// parseJSON parses a file whose root is an object.
func parseJSON(text string) (*hujson.Value, error) {
	if strings.TrimSpace(text) == "" {
		text = "{}\n"
	}
	v, err := hujson.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	if _, ok := v.Value.(*hujson.Object); !ok {
		return nil, fmt.Errorf("%w: it holds no object", ErrUnusual)
	}
	return &v, nil
}

func setJSON(text string, path Path, value []byte) (string, error) {
	root, err := parseJSON(text)
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
			rest := value
			for i := len(path) - 1; i > depth; i-- { // the objects on the way are made
				rest = wrap(path[i], rest)
			}
			return insert(root, at, key, rest, depth+1, unit)
		}
		if last {
			fresh, err := parsed(value, depth+1, unit)
			if err != nil {
				return "", err
			}
			next.Value = fresh
			return string(root.Pack()), nil
		}
		at = next
	}
	return "", fmt.Errorf("%w: there is no path", ErrUnusual)
}

// wrap is an object with one key, or a list with one element.
func wrap(key string, value []byte) []byte {
	if _, _, ok := element(key); ok {
		return []byte("[" + string(value) + "]")
	}
	name, _ := json.Marshal(key) // a string
	return []byte("{" + string(name) + ":" + string(value) + "}")
}

// child is the value below key; nil when there is none.
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
func insert(root, at *hujson.Value, key string, value []byte, depth int, unit string) (string, error) {
	fresh, err := parsed(value, depth, unit)
	if err != nil {
		return "", err
	}
	before := hujson.Extra("\n" + strings.Repeat(unit, depth))
	end := hujson.Extra("\n" + strings.Repeat(unit, depth-1))
	switch composite := at.Value.(type) {
	case *hujson.Object:
		name, _ := json.Marshal(key) // a string
		m := hujson.ObjectMember{
			Name:  hujson.Value{BeforeExtra: before, Value: hujson.Literal(name)},
			Value: hujson.Value{BeforeExtra: hujson.Extra(" "), Value: fresh},
		}
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
func takeOver(last *hujson.Value, end, before *hujson.Extra) (after hujson.Extra) {
	after = last.AfterExtra
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
func closing(was, end hujson.Extra) hujson.Extra {
	if bytes.Contains(was, []byte("\n")) {
		return was
	}
	return end
}

func removeJSON(text string, path Path) (string, error) {
	root, err := parseJSON(text)
	if err != nil {
		return "", err
	}
	at := root
	for _, key := range path[:len(path)-1] {
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
		for i := range composite.Members {
			if m := composite.Members[i]; &composite.Members[i].Value == gone {
				next := &composite.AfterExtra
				if i+1 < len(composite.Members) {
					next = &composite.Members[i+1].Name.BeforeExtra
				} else if i > 0 {
					composite.Members[i-1].Value.AfterExtra = m.Value.AfterExtra
				}
				handOn(m.Name.BeforeExtra, next)
				composite.Members = append(composite.Members[:i], composite.Members[i+1:]...)
				break
			}
		}
		if len(composite.Members) == 0 && len(bytes.TrimSpace(composite.AfterExtra)) == 0 {
			composite.AfterExtra = nil
		}
	case *hujson.Array:
		for i := range composite.Elements {
			if e := composite.Elements[i]; &composite.Elements[i] == gone {
				next := &composite.AfterExtra
				if i+1 < len(composite.Elements) {
					next = &composite.Elements[i+1].BeforeExtra
				} else if i > 0 {
					composite.Elements[i-1].AfterExtra = e.AfterExtra
				}
				handOn(e.BeforeExtra, next)
				composite.Elements = append(composite.Elements[:i], composite.Elements[i+1:]...)
				break
			}
		}
		if len(composite.Elements) == 0 && len(bytes.TrimSpace(composite.AfterExtra)) == 0 {
			composite.AfterExtra = nil
		}
	}
	return string(root.Pack()), nil
}

// handOn keeps a comment that stood before a value which is gone.
func handOn(before hujson.Extra, next *hujson.Extra) {
	if comment := bytes.TrimRight(before, " \t\r\n"); len(bytes.TrimSpace(comment)) > 0 {
		*next = append(bytes.Clone(comment), *next...)
	}
}

// indentUnit is the white space by which the file's first line that is indented begins; two blanks when there is none.
func indentUnit(text string) string {
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " \t")
		if indent := line[:len(line)-len(trimmed)]; indent != "" && strings.TrimSpace(trimmed) != "" {
			return indent
		}
	}
	return "  "
}
