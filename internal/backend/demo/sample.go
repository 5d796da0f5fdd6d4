package demo

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
)

// The bounds of a sample, for schemas that refer to themselves or are very large. What lies beyond them is null.
const (
	// A schema of OpenAI's subset may nest ten levels deep.
	sampleDepth  = 12
	sampleValues = 2000
	sampleItems  = 20 // members of an array, and characters of a text, that a schema can ask for
)

// sample is a value that fits the JSON Schema raw, where that can be told from the keywords that OpenAI's subset has: types,
// enum, const, properties, items, anyOf, references within the schema, and the plainest bounds. It looks at no pattern, and
// at no condition. A schema that it can't read gives an empty object.
//
// The demo answers with samples, so that a client that needs a form can be tried without a model. The gateway checks them as
// it checks a model's answer: a sample that does not fit ends in the same error.
func sample(raw json.RawMessage) json.RawMessage {
	var root shape
	if len(raw) == 0 || json.Unmarshal(raw, &root) != nil {
		return json.RawMessage("{}")
	}
	s := sampler{root: &root, left: sampleValues}
	value, err := json.Marshal(s.value(&root, 0))
	if err != nil {
		return json.RawMessage("{}")
	}
	return value
}

// arguments is a sample for a tool's parameters. It is an object also where their schema doesn't say so, as {} doesn't: a call has
// no other arguments.
func arguments(parameters json.RawMessage) json.RawMessage {
	if value := sample(parameters); value[0] == '{' {
		return value
	}
	return json.RawMessage("{}")
}

// A shape is what a sample needs of a JSON Schema. The schemas true and false are empty shapes.
// Keywords that are not here (pattern, if, not, multipleOf …) are passed over: then the gateway's
// check of the answer fails, and shows the client what such a failure looks like.
type shape struct {
	// A reference is followed within the same document alone ("#/$defs/x").
	Ref        string            `json:"$ref"`
	Defs       map[string]*shape `json:"$defs"`
	OldDefs    map[string]*shape `json:"definitions"`
	Type       typeNames         `json:"type"`
	Enum       []json.RawMessage `json:"enum"`
	Const      json.RawMessage   `json:"const"`
	Properties map[string]*shape `json:"properties"`
	Required   []string          `json:"required"`
	// A list of schemas, as old drafts have it, can't be read, and makes the whole an empty object.
	Items  *shape   `json:"items"`
	AllOf  []*shape `json:"allOf"`
	AnyOf  []*shape `json:"anyOf"`
	OneOf  []*shape `json:"oneOf"`
	Format string   `json:"format"`
	// The bounds of a value. A pointer is nil where the schema sets none and 0 would mean something.
	MinItems  int      `json:"minItems"`
	MaxItems  *int     `json:"maxItems"`
	MinLength int      `json:"minLength"`
	MaxLength *int     `json:"maxLength"`
	Minimum   *float64 `json:"minimum"`
	Above     *float64 `json:"exclusiveMinimum"`
	Maximum   *float64 `json:"maximum"`
	Below     *float64 `json:"exclusiveMaximum"`
}

// UnmarshalJSON reads a schema; one that is true or false leaves s empty.
func (s *shape) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("true")) || bytes.Equal(data, []byte("false")) {
		return nil
	}
	type plain shape // without this method
	return json.Unmarshal(data, (*plain)(s))
}

// typeNames is the keyword "type": a name, or a list of them.
type typeNames []string

// UnmarshalJSON reads both forms.
func (t *typeNames) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*t = make([]string, 1)
		return json.Unmarshal(data, &(*t)[0])
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// A sampler makes one sample.
type sampler struct {
	root *shape // where references begin
	// left is how many values the sample may still have. It counts down over the whole sample, so that a schema which branches a
	// lot ends, too.
	left int
}

// value is a value that fits the schema, in the form that json.Marshal takes. depth is how many values it lies within.
func (s *sampler) value(of *shape, depth int) any {
	if s.left--; of == nil || s.left < 0 || depth > sampleDepth {
		return nil
	}
	switch {
	// A reference to itself goes on until depth ends it.
	case of.Ref != "":
		return s.value(s.referred(of.Ref), depth+1)
	case of.Const != nil:
		return of.Const
	case len(of.Enum) > 0:
		return of.Enum[0]
	// The first branch is as good as any. A schema whose first branch refers to itself ends in
	// null.
	case len(of.AnyOf) > 0:
		return s.value(of.AnyOf[0], depth+1)
	case len(of.OneOf) > 0:
		return s.value(of.OneOf[0], depth+1)
	}
	switch of.typeName() {
	case "object":
		return s.object(of, depth)
	case "array":
		return s.array(of, depth)
	case "string":
		return text(of)
	case "integer":
		// Rounded up, because most bounds are lower ones.
		return int64(math.Ceil(number(of, 1)))
	case "number":
		return number(of, 0.5)
	// "null", and a type that nobody knows, give null.
	case "boolean":
		return true
	}
	return nil
}

// typeName is the type that s asks for, the first one where it leaves a choice. A schema that names none tells by its keywords.
func (s *shape) typeName() string {
	switch {
	case len(s.Type) > 0:
		return s.Type[0]
	case s.Properties != nil, s.Required != nil, len(s.AllOf) > 0:
		return "object"
	case s.Items != nil:
		return "array"
	}
	return "string"
}

// object has all members that its schema names. Those of allOf are added. Far inside it has only the required ones, which
// ends most schemas that refer to themselves.
func (s *sampler) object(of *shape, depth int) map[string]any {
	members := map[string]any{}
	for _, part := range of.AllOf {
		if inner, ok := s.value(part, depth+1).(map[string]any); ok {
			for name, v := range inner {
				// allOf may repeat a member; the last one counts.
				members[name] = v
			}
		}
	}
	required := map[string]bool{}
	for _, name := range of.Required {
		required[name] = true
		members[name] = "sample" // also when no schema says what it is
	}
	// The order of a map doesn't matter: json.Marshal sorts the names. Only what is cut off by left
	// may differ from call to call.
	for name, property := range of.Properties {
		if required[name] || depth < sampleDepth/2 {
			members[name] = s.value(property, depth+1)
		}
	}
	return members
}

// array has one member, or as many as its schema asks for.
func (s *sampler) array(of *shape, depth int) []any {
	n := max(1, min(of.MinItems, sampleItems))
	if of.MaxItems != nil {
		// maxItems of 0 gives an empty list.
		n = min(n, *of.MaxItems)
	}
	// Not nil, which would be encoded as null.
	items := []any{}
	for range n {
		switch {
		case of.Items != nil:
			items = append(items, s.value(of.Items, depth+1))
		default:
			items = append(items, "sample")
		}
	}
	return items
}

// formats has a text for each format that OpenAI's subset has.
var formats = map[string]string{
	"date-time": "2026-01-02T03:04:05Z",
	"date":      "2026-01-02",
	"time":      "03:04:05Z",
	"duration":  "PT1H",
	"email":     "someone@example.com",
	"hostname":  "example.com",
	"ipv4":      "192.0.2.1",
	"ipv6":      "2001:db8::1",
	"uuid":      "123e4567-e89b-42d3-a456-426614174000",
	"uri":       "https://example.com/",
}

// text is a text of the format and the length that its schema asks for.
func text(of *shape) string {
	t, ok := formats[of.Format]
	if !ok {
		t = "sample"
	}
	// A format's text that is made longer would not fit its format any more.
	if short := min(of.MinLength, sampleItems) - len(t); short > 0 {
		t += strings.Repeat("x", short)
	}
	if of.MaxLength != nil && !ok {
		// Bytes are characters here: all that is in t is ASCII.
		t = t[:min(len(t), max(0, *of.MaxLength))]
	}
	return t
}

// number is fallback where its schema's bounds have room for it, and else what is nearest to one of them.
func number(of *shape, fallback float64) float64 {
	switch {
	// Zod bounds every integer by what a double can hold.
	case of.Minimum != nil && (of.Maximum == nil || fallback <= *of.Maximum) && (of.Below == nil || fallback < *of.Below):
		return math.Max(fallback, *of.Minimum)
	case of.Minimum != nil:
		return *of.Minimum
	case of.Above != nil:
		// Above the bound by as much as the fallback is above 0.
		return *of.Above + fallback
	case of.Maximum != nil:
		return math.Min(fallback, *of.Maximum)
	case of.Below != nil:
		return math.Min(fallback, *of.Below-1)
	}
	return fallback
}

// referred is the schema within the root that a $ref names; nil for any other reference.
func (s *sampler) referred(ref string) *shape {
	if ref == "#" {
		return s.root
	}
	if name, ok := strings.CutPrefix(ref, "#/$defs/"); ok {
		return s.root.Defs[name]
	}
	if name, ok := strings.CutPrefix(ref, "#/definitions/"); ok {
		return s.root.OldDefs[name]
	}
	return nil
}
