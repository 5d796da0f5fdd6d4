package configfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// Of YAML, two forms of values are edited:
//
//	openai-api-base: http://…      an entry of the root
//	models:                        an element of a list that is an entry of the root,
//	  - name: Composer             where the list has one element a line or more ("block style")

// decodeYAML gives the tree that encoding/json would give for the same values.
//
// A YAML mapping may have keys that are no texts (1: or true:). JSON can't hold them, and so
// neither can a path: such a file is left alone.
func decodeYAML(text string) (any, error) {
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		return nil, err
	}
	// By way of JSON, so that paths and values are compared in one form whatever the file is.
	data, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnusual, err) // a key that is no text
	}
	if tree == nil {
		data = []byte("{}")
	}
	return treeOf(data)
}

// A yamlFile is a file as lines, with the root's entries.
//
// YAML is edited by lines and not by bytes: the parser tells the line of each node, and in block
// style each entry has lines of its own.
type yamlFile struct {
	lines []string // with their ends
	// entries are in the order of the file.
	entries []yamlEntry
}

// A yamlEntry is a key of the root with what is below it: lines[start:end].
type yamlEntry struct {
	key   string
	value *yaml.Node
	// start counts from 0 and is the key's line. Comments and blank lines at the end belong to what follows.
	start, end int
}

// parseYAML finds the entries of the root. A file of comments, or of nothing, has none and is fine;
// one whose root is a list, a text, or a mapping in braces is ErrUnusual. Of a file with several
// documents only the first is seen, as with the clients that read it.
func parseYAML(text string) (*yamlFile, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, err
	}
	f := &yamlFile{}
	for line := range strings.Lines(text) {
		f.lines = append(f.lines, line)
	}
	if len(document.Content) == 0 {
		return f, nil
	}
	root := document.Content[0]
	// "---" alone, for example.
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return f, nil
	}
	if root.Kind != yaml.MappingNode || root.Style == yaml.FlowStyle {
		return nil, fmt.Errorf("%w: its root is no list of keys", ErrUnusual)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		// Lines count from 1 in the parser and from 0 here. Aliases (*name) are nodes like others:
		// what they stand for is not looked into.
		f.entries = append(f.entries, yamlEntry{key: root.Content[i].Value, value: root.Content[i+1], start: root.Content[i].Line - 1})
	}
	for i := range f.entries {
		// An entry reaches to the next one, without the comments above that.
		end := len(f.lines)
		if i+1 < len(f.entries) {
			end = f.entries[i+1].start
		}
		f.entries[i].end = f.trim(f.entries[i].start+1, end)
	}
	return f, nil
}

// trim takes blank lines, comments and the marks of documents off the end of lines[start:end]: they belong to what follows.
//
// Documents' marks here means "...": what is written behind it would be no part of the document.
func (f *yamlFile) trim(start, end int) int {
	for end > start {
		line := strings.TrimSpace(f.lines[end-1])
		if line != "" && line[0] != '#' && line != "..." {
			break
		}
		end--
	}
	return end
}

// entry is the entry with this key; nil when there is none.
func (f *yamlFile) entry(key string) *yamlEntry {
	for i := range f.entries {
		if f.entries[i].key == key {
			return &f.entries[i]
		}
	}
	return nil
}

// replace is the file with lines[start:end] replaced.
//
// With start == end the text is put in before that line. A file whose last line has no line break
// gets one first.
func (f *yamlFile) replace(start, end int, text string) string {
	before := strings.Join(f.lines[:start], "")
	if before != "" && !strings.HasSuffix(before, "\n") && text != "" {
		before += "\n"
	}
	return before + text + strings.Join(f.lines[end:], "")
}

// setYAML knows the two forms at the top of this file: a path of one key, and a path of a key and
// an element.
func setYAML(text string, path Path, value []byte) (string, error) {
	f, err := parseYAML(text)
	if err != nil {
		return "", err
	}
	e := f.entry(path[0])
	switch {
	case len(path) == 1:
		// The whole entry is written again, with all that is below it.
		fresh, err := yamlText(path[0], value)
		if err != nil {
			return "", err
		}
		if e == nil {
			// A new entry goes behind the last one and before the comments at the end of the file.
			end := f.trim(0, len(f.lines))
			return f.replace(end, end, fresh), nil
		}
		// "key: old # why" becomes "key: new # why", as long as the new value stands on one line,
		// too.
		if e.value.Kind == yaml.ScalarNode && e.value.LineComment != "" && strings.Count(fresh, "\n") == 1 {
			fresh = strings.TrimSuffix(fresh, "\n") + " " + e.value.LineComment + "\n"
		}
		return f.replace(e.start, e.end, fresh), nil
	case len(path) != 2:
		return "", fmt.Errorf("%w: %s", ErrUnusual, path)
	}
	field, name, ok := element(path[1])
	if !ok {
		return "", fmt.Errorf("%w: %s", ErrUnusual, path)
	}
	if e == nil || e.value.Kind == yaml.ScalarNode && e.value.Tag == "!!null" {
		// "models:" with nothing behind it, or no such entry: the list is made with one element.
		//
		// wrap makes a list of the value, with the name that the path gives.
		return setYAML(text, path[:1], wrap(path[1], value))
	}
	start, end, indent, err := f.item(e, field, name)
	if err != nil {
		return "", err
	}
	fresh, err := yamlItem(value, indent)
	if err != nil {
		return "", err
	}
	return f.replace(start, end, fresh), nil
}

// removeYAML takes one value out: a key of the root, or one element of a list below it. One that isn't there is no error.
func removeYAML(text string, path Path) (string, error) {
	f, err := parseYAML(text)
	if err != nil {
		return "", err
	}
	e := f.entry(path[0])
	if e == nil {
		return text, nil
	}
	if len(path) == 1 {
		return f.replace(e.start, e.end, ""), nil
	}
	field, name, _ := element(path[1])
	start, end, _, err := f.item(e, field, name)
	if err != nil {
		return "", err
	}
	// After the last element "models:" stands alone, which is an empty list to everybody.
	return f.replace(start, end, ""), nil
}

// item is where an element of a list stands, or, when it is not there, where it is to be put (start == end).
//
// indent is the white space before the dashes of this list: files have it at the key's column or
// two further in. A list in brackets, an empty one, or one whose elements share a line is
// ErrUnusual: there are no lines of its own to cut.
func (f *yamlFile) item(e *yamlEntry, field, name string) (start, end int, indent string, err error) {
	if e.value.Kind != yaml.SequenceNode || e.value.Style == yaml.FlowStyle || len(e.value.Content) == 0 {
		return 0, 0, "", fmt.Errorf("%w: %s is no list with one element a line", ErrUnusual, e.key)
	}
	for i, item := range e.value.Content {
		start = item.Line - 1
		// The node's line is that of the element's first key. When the dash stands alone on the
		// line above, this line has none, or has one in the middle of a value.
		//
		// Only white space may stand before it, or it is a part of something else.
		dash := strings.IndexByte(f.lines[start], '-')
		if dash < 0 || strings.TrimSpace(f.lines[start][:dash]) != "" {
			return 0, 0, "", fmt.Errorf("%w: an element of %s does not begin with its own line", ErrUnusual, e.key)
		}
		indent = f.lines[start][:dash]
		end = e.end
		if i+1 < len(e.value.Content) {
			end = f.trim(start+1, e.value.Content[i+1].Line-1)
		}
		if yamlField(item, field) == name {
			return start, end, indent, nil
		}
	}
	return e.end, e.end, indent, nil
}

// yamlField is the value of a field of a mapping; "" when there is none.
func yamlField(item *yaml.Node, field string) string {
	for i := 0; item.Kind == yaml.MappingNode && i+1 < len(item.Content); i += 2 {
		if item.Content[i].Value == field {
			return item.Content[i+1].Value
		}
	}
	return ""
}

// yamlText is an entry of the root.
//
// key and value are JSON, which is YAML already, but in braces and quotes. The parser reads that,
// and the encoder writes it as people write it.
func yamlText(key string, value []byte) (string, error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte("{"+quote(key)+": "+string(value)+"}"), &node); err != nil { // JSON is YAML
		return "", err
	}
	return encodeYAML(&node)
}

// yamlItem is an element of a list whose dashes are indented by indent.
func yamlItem(value []byte, indent string) (string, error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte("["+string(value)+"]"), &node); err != nil {
		return "", err
	}
	text, err := encodeYAML(&node)
	if err != nil {
		return "", err
	}
	var indented strings.Builder
	// The encoder writes an element without an indent.
	for line := range strings.Lines(text) {
		indented.WriteString(indent + line)
	}
	return indented.String(), nil
}

// quote is a text as JSON, and so as YAML, whatever is in it.
func quote(key string) string {
	data, _ := json.Marshal(key) // a string
	return string(data)
}

// encodeYAML writes a node over several lines, and texts without quotes where that is the same.
//
// The encoder decides which texts need quotes: "true", "1" and "" do.
func encodeYAML(node *yaml.Node) (string, error) {
	plain(node)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return "", err
	}
	return out.String(), encoder.Close()
}

// plain takes the styles off a node and all below it: the braces and quotes that the JSON had. The
// encoder chooses again.
func plain(node *yaml.Node) {
	node.Style = 0
	for _, inner := range node.Content {
		plain(inner)
	}
}
