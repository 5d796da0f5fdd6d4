package configfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Of TOML, two forms of values are edited:
//
//	model = "composer-2.5"        a value of the root, before the first table
//	[model_providers.composer]    a table with its own header, as a whole
//
// What says the same in another way (an inline table, dotted keys) is read and left alone.

// decodeTOML gives the tree that encoding/json would give for the same values.
//
// go-toml's tree has types of its own for dates and integers. It goes through JSON once, so that
// the three formats can be compared in one way.
func decodeTOML(text string) (any, error) {
	var tree map[string]any
	if err := toml.Unmarshal([]byte(text), &tree); err != nil {
		return nil, err
	}
	data, err := json.Marshal(tree) // dates become strings, integers floats: it is for comparing
	if err != nil {
		return nil, err
	}
	if tree == nil {
		data = []byte("{}")
	}
	return treeOf(data)
}

// A tomlPart is an assignment of the root, or a table from its header on.
//
// Positions are byte offsets into the file's text. A part covers whole lines:
//
//	# a comment of the part before, or of nobody
//	model = "x"            ◄ start … end, and valueStart … valueEnd around "x"
//
//	[providers.composer]   ◄ start
//	name = "Composer"
//	                       ◄ end: the blank line belongs to neither
type tomlPart struct {
	// key is the whole way from the root.
	key                  []string
	table                bool
	valueStart, valueEnd int // of a scalar; 0 for others
	start, end           int // in bytes; the end is behind the last line of the part's own, without the comments of the next part
}

// tomlParts lists the parts of a file in order.
//
// Assignments below a table's header are not parts: a table is replaced as a whole. The parser is
// go-toml's unstable one, because only that tells where in the text something stands.
func tomlParts(text string) ([]tomlPart, error) {
	// A table's node has no range of its own. The offset of its first key is on the header's line,
	// which is all that is needed.
	var parser unstable.Parser
	parser.Reset([]byte(text))
	var parts []tomlPart
	inTable := false
	for parser.NextExpression() {
		node := parser.Expression()
		var key []string
		start := -1
		for keys := node.Key(); keys.Next(); {
			if start < 0 {
				start = int(keys.Node().Raw.Offset)
			}
			key = append(key, string(keys.Node().Data))
		}
		if start < 0 {
			continue // a comment
		}
		line := strings.LastIndexByte(text[:start], '\n') + 1
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			inTable = true
			parts = append(parts, tomlPart{key: key, table: true, start: line})
		case unstable.KeyValue:
			if !inTable {
				raw := node.Value().Raw
				parts = append(parts, tomlPart{key: key, start: line, valueStart: int(raw.Offset), valueEnd: int(raw.Offset + raw.Length)})
			}
		}
	}
	if err := parser.Error(); err != nil {
		return nil, err
	}
	for i := range parts {
		end := len(text)
		if i+1 < len(parts) {
			end = parts[i+1].start
		}
		// A part ends where the next begins, less the blank lines and comments before that: people
		// write a comment above what it is about.
		parts[i].end = parts[i].start + len(ownLines(text[parts[i].start:end], i+1 < len(parts)))
	}
	return parts, nil
}

// blankOrComment is a line that says nothing.
var blankOrComment = regexp.MustCompile(`^[ \t]*(#.*)?\r?\n?$`)

// ownLines is text without the blank lines and comments at its end; when nothing follows, comments are its own, too.
//
// follows says whether another part comes after this one. At the end of a file a comment has
// nothing below it that it could be about, so it stays with the table above, and is deleted with
// it.
func ownLines(text string, follows bool) string {
	lines := slices.Collect(strings.Lines(text))
	for len(lines) > 1 && blankOrComment.MatchString(lines[len(lines)-1]) {
		if !follows && strings.TrimSpace(lines[len(lines)-1]) != "" {
			break
		}
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines, "")
}

// setTOML replaces an assignment or a table that is there, or adds one. A table is written as a
// whole: keys that somebody has added to our table by hand are lost with it, which verify allows,
// because they are below path.
func setTOML(text string, path Path, value []byte) (string, error) {
	parts, err := tomlParts(text)
	if err != nil {
		return "", err
	}
	fresh, isTable, err := tomlText(path, value)
	if err != nil {
		return "", err
	}
	// A scalar below a table, or an object at the root: no client needs either, and each would need
	// an edit of its own.
	if isTable != (len(path) > 1) {
		return "", fmt.Errorf("%w: %s", ErrUnusual, path)
	}
	for i, p := range parts {
		if p.table == isTable && slices.Equal(p.key, path) {
			// fresh is "key = scalar\n". Only the scalar is put in place, between the bytes of the
			// old one.
			if _, scalar, ok := strings.Cut(fresh, " = "); ok && !isTable && p.valueEnd > p.valueStart {
				return text[:p.valueStart] + strings.TrimSuffix(scalar, "\n") + text[p.valueEnd:], nil // a comment behind it stays
			}
			return text[:p.start] + fresh + text[tableEnd(parts, i):], nil
		}
	}
	if isTable {
		return appendBlock(text, fresh), nil
	}
	// Before the first table, because what follows a header belongs to its table; after the other values of the root.
	at := 0
	for _, p := range parts {
		if p.table {
			break
		}
		at = p.end
	}
	// The last value of the root is also the end of the file, which has no line break.
	if at > 0 && text[at-1] != '\n' {
		fresh = "\n" + fresh
	}
	if at == 0 && len(parts) > 0 {
		// Tables only: the new value goes between the file's own heading and the first table with
		// its comments.
		at = len(leadingComments(text[:parts[0].start]))
		if text[at:] != "" && !strings.HasPrefix(text[at:], "\n") {
			fresh += "\n"
		}
	} else if at == 0 {
		// Nothing but comments, or nothing at all.
		return appendBlock(text, fresh), nil
	}
	return text[:at] + fresh + text[at:], nil
}

// leadingComments is the comments that a file begins with, up to the last blank line: what stands behind that belongs to
// the first part.
//
// A heading such as "# Codex settings" so stays at the top of the file.
func leadingComments(text string) string {
	if i := strings.LastIndex(text, "\n\n"); i >= 0 {
		return text[:i+2]
	}
	return ""
}

// appendBlock puts a block at the end of text, set off by a blank line.
func appendBlock(text, block string) string {
	if strings.TrimSpace(text) == "" {
		return text + block
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + "\n" + block
}

// tableEnd is the end of the table parts[i] with the tables below it.
//
// [a.b] is below [a]: with a goes what is below it, or else [a.b] would make a table a again. Only
// the tables that follow directly are looked at. One that stands elsewhere in the file stays, and
// verify refuses the edit.
func tableEnd(parts []tomlPart, i int) int {
	end := parts[i].end
	if !parts[i].table {
		return end
	}
	for _, p := range parts[i+1:] {
		if len(p.key) <= len(parts[i].key) || !slices.Equal(p.key[:len(parts[i].key)], parts[i].key) {
			break
		}
		end = p.end
	}
	return end
}

// removeTOML takes out one part with its lines. The value is known to be there (see Delete), so one
// that has no part is written in a form that is only read here, such as an inline table.
func removeTOML(text string, path Path) (string, error) {
	parts, err := tomlParts(text)
	if err != nil {
		return "", err
	}
	for i, p := range parts {
		if !slices.Equal(p.key, path) {
			continue
		}
		// Undoing a setup must give the file back byte for byte, so exactly the blank line goes
		// that appendBlock has put there.
		before, after := text[:p.start], text[tableEnd(parts, i):]
		if p.table && strings.HasSuffix(before, "\n\n") && (after == "" || strings.HasPrefix(after, "\n")) {
			before = before[:len(before)-1] // the blank line that set it off
		}
		if before == "" {
			after = strings.TrimPrefix(after, "\n") // the blank line behind it
		}
		return before + after, nil
	}
	return "", fmt.Errorf("%w: %s has no line of its own", ErrUnusual, path)
}

// tomlText is value as TOML: an assignment, or a table with its header.
//
// The keys of a table are in alphabetical order, so the same value is always the same text.
func tomlText(path Path, value []byte) (text string, isTable bool, err error) {
	var decoded any
	if err := json.Unmarshal(value, &decoded); err != nil {
		return "", false, err
	}
	object, isTable := decoded.(map[string]any)
	if !isTable {
		scalar, err := tomlScalar(decoded)
		return tomlKey(path[len(path)-1]) + " = " + scalar + "\n", false, err
	}
	quoted := make([]string, len(path))
	for i, key := range path {
		quoted[i] = tomlKey(key)
	}
	text = "[" + strings.Join(quoted, ".") + "]\n"
	// One level only: a table in a table would need a header of its own.
	for _, key := range slices.Sorted(maps.Keys(object)) {
		scalar, err := tomlScalar(object[key])
		if err != nil {
			return "", true, err
		}
		text += tomlKey(key) + " = " + scalar + "\n"
	}
	return text, true, nil
}

// bareKey is a key that needs no quotes. Source: TOML 1.0, "Keys".
var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// tomlKey is a key as it is written: bare where TOML allows it, else in quotes.
func tomlKey(key string) string {
	if bareKey.MatchString(key) {
		return key
	}
	return tomlString(key)
}

// tomlString is a basic string: JSON's escapes are TOML's, too.
func tomlString(text string) string {
	data, _ := json.Marshal(text) // a string
	return string(data)
}

// tomlScalar writes what a client's setting can be.
//
// JSON has one kind of number, and TOML tells integers from floats. 'f' with the shortest digits
// writes 32000 without a point, which TOML reads as an integer.
func tomlScalar(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return tomlString(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", fmt.Errorf("%w: a value of an unexpected kind", ErrUnusual)
}
