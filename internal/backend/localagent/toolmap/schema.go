package toolmap

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"

	"composer-api/internal/agent"
)

// What is read of the schemas of clients' tools. They come from clients and may be anything, so
// whatever isn't plain is taken as unknown, and unknown means that nothing is mapped.

// A schema is as much of a tool's JSON Schema as a mapping must know. Only the top level is
// read: a mapping fills in plain values.
type schema struct {
	// Properties are by the client's spelling.
	Properties map[string]*property `json:"properties"`
	Required   []string             `json:"required"`
}

// A property is one parameter of a tool. Default is the JSON as it stands; nil when there is none.
type property struct {
	Type types `json:"type"`
	// Enum has only values that are texts.
	Enum        texts           `json:"enum"`
	Default     json.RawMessage `json:"default"`
	Description string          `json:"description"`

	name     string // as the client spells it
	required bool
}

// takes reports whether the property can hold JSON of that type. A property without a plain type (anyOf, $ref) takes nothing,
// because we can't be sure.
func (p *property) takes(kind string) bool {
	for _, t := range p.Type {
		if t == kind {
			return true
		}
	}
	return false
}

// types is a schema's "type": a name or a list of names.
type types []string

// UnmarshalJSON implements json.Unmarshaler. It never fails: a type of another form counts as none.
func (t *types) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = types{one}
		return nil
	}
	var many []string
	if json.Unmarshal(b, &many) == nil {
		*t = many
	}
	return nil
}

// texts is the texts of an enum. Members of other types are left out, which can only prevent a mapping.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *texts) UnmarshalJSON(b []byte) error {
	var members []any
	if json.Unmarshal(b, &members) != nil {
		return nil
	}
	*s = texts{}
	for _, m := range members {
		if text, ok := m.(string); ok {
			*s = append(*s, text)
		}
	}
	return nil
}

// readSchema reads the parameters of a tool; nil when they can't be understood, or when
// something is required that isn't described. Then nothing is mapped to the tool. It is decoded
// anew for each call, and belongs to the caller.
//
// A tool without parameters has no schema, so nothing is mapped to it either.
func readSchema(t *agent.Tool) *schema {
	var s schema
	if json.Unmarshal(t.Parameters, &s) != nil {
		return nil
	}
	for name, p := range s.Properties {
		if p == nil {
			p = &property{}
			s.Properties[name] = p
		}
		p.name = name
	}
	for _, name := range s.Required {
		p := s.Properties[name]
		if p == nil {
			return nil // required and not described
		}
		p.required = true
	}
	return &s
}

// find returns the property for the first of the names that the schema has, exactly or
// simplified. Names that begin with a dash ("-A") match exactly only, because simplified they
// would be a letter. nil when there is none. The names of a schema are tried in alphabetical
// order, so that the result doesn't depend on chance.
//
// The first name of the list wins over the others, whatever order the schema has.
func (s *schema) find(names []string) *property {
	for _, want := range names {
		if p := s.Properties[want]; p != nil {
			return p
		}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			p := s.Properties[name]
			if !strings.HasPrefix(name, "-") && simplify(name) == want {
				return p
			}
		}
	}
	return nil
}

// simplify makes different spellings of a name equal: read_file, ReadFile and fs__read-file all become readfile. A prefix that
// ends in "__" is that of an MCP server.
//
// It is applied to both sides: the names of the table are simplified already.
func simplify(name string) string {
	if i := strings.LastIndex(name, "__"); i >= 0 {
		name = name[i+2:]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
