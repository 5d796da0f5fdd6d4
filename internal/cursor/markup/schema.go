package markup

import (
	"encoding/json"
	"slices"
	"strings"
)

// A schema is the part of JSON Schema that tells whether a value may be a string. It validates
// nothing. Other parts of JSON Schema don't matter here; package schema is the one that validates.
type schema struct {
	// A keyword that was not given is nil or empty, and then says nothing.
	Type       oneOrMany         `json:"type"`
	Enum       []json.RawMessage `json:"enum"`
	Const      json.RawMessage   `json:"const"`
	AnyOf      []schema          `json:"anyOf"`
	OneOf      []schema          `json:"oneOf"`
	AllOf      []schema          `json:"allOf"`
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Others     json.RawMessage   `json:"additionalProperties"`

	Defs        map[string]schema `json:"$defs"`
	Definitions map[string]schema `json:"definitions"`
}

// UnmarshalJSON implements json.Unmarshaler. The schemas true and false, and anything else that isn't an object,
// become an empty schema, which says nothing.
func (s *schema) UnmarshalJSON(data []byte) error {
	*s = schema{}
	if len(data) == 0 || data[0] != '{' {
		return nil
	}
	// A type without this method, or else it would call itself.
	type plain schema
	return json.Unmarshal(data, (*plain)(s))
}

// oneOrMany is a string or a list of strings.
type oneOrMany []string

// UnmarshalJSON implements json.Unmarshaler; what is neither is empty.
func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil && one != "" {
		*o = oneOrMany{one}
		return nil
	}
	var many []string
	if json.Unmarshal(data, &many) != nil {
		many = nil
	}
	*o = many
	return nil
}

// allowsString reports whether the property called name may be a string. A property that the schema doesn't
// name is one of additionalProperties. A schema that says nothing about a property doesn't allow a string: its value is taken
// for what it looks like.
func (s *schema) allowsString(name string) bool {
	p, ok := s.Properties[name]
	// Absent additionalProperties can't be unmarshalled, and so allow nothing.
	if !ok && json.Unmarshal(s.Others, &p) != nil {
		return false
	}
	budget := maxVisits
	return s.isString(&p, &budget)
}

// maxVisits bounds how many references and alternatives are followed, because references may form a circle.
const maxVisits = 100

// isString reports whether p, a schema within s, has strings among what it allows. budget is what is left of
// maxVisits.
func (s *schema) isString(p *schema, budget *int) bool {
	if *budget--; *budget < 0 {
		return false
	}
	if slices.Contains(p.Type, "string") {
		return true
	}
	// An enum of texts without a type is common in hand-written schemas.
	if len(p.Type) == 0 && (isQuoted(p.Const) || slices.ContainsFunc(p.Enum, isQuoted)) {
		return true
	}
	if target, ok := s.resolve(p.Ref); ok && s.isString(target, budget) {
		return true
	}
	for _, choices := range [][]schema{p.AnyOf, p.OneOf, p.AllOf} {
		for i := range choices {
			if s.isString(&choices[i], budget) {
				return true
			}
		}
	}
	return false
}

// isQuoted reports whether a JSON value is a string.
func isQuoted(value json.RawMessage) bool { return len(value) > 0 && value[0] == '"' }

// resolve follows a reference to one of s's own definitions. Other references are not followed.
func (s *schema) resolve(ref string) (*schema, bool) {
	for prefix, defs := range map[string]map[string]schema{"#/$defs/": s.Defs, "#/definitions/": s.Definitions} {
		if name, ok := strings.CutPrefix(ref, prefix); ok {
			target, ok := defs[name]
			return &target, ok
		}
	}
	return nil, false
}
