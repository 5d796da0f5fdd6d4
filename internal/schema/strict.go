package schema

// closeObjects gives each object schema that names its properties and says nothing of others the line
// "additionalProperties": false. That is what OpenAI has clients write under "strict": true; ours may leave it out.
//
// A schema that puts others together (allOf and its like) is left as it is: one that is closed would forbid what its
// neighbours ask for.
//
// doc is changed in place. It is all or nothing: one such keyword anywhere leaves the whole schema open.
//
//	{"properties": {"a": {}}}                                 closed
//	{"properties": {"a": {}}, "additionalProperties": true}   as it is
//	{"type": "object"}                                        as it is: it names no properties
func closeObjects(doc any) {
	// The first pass only looks, so that nothing is changed if anything speaks against it.
	composed := false
	eachSchema(doc, func(s map[string]any) {
		for _, keyword := range []string{"allOf", "not", "if", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef", "unevaluatedProperties"} {
			if _, has := s[keyword]; has {
				composed = true
			}
		}
		_, refers := s["$ref"]
		_, names := s["properties"]
		composed = composed || refers && names
	})
	if composed {
		return
	}
	eachSchema(doc, func(s map[string]any) {
		_, names := s["properties"]
		_, says := s["additionalProperties"]
		_, patterns := s["patternProperties"]
		if names && !says && !patterns {
			s["additionalProperties"] = false
		}
	})
}

// Where schemas stand within a schema. What isn't named here is data, as in enum and default.
var (
	schemaKeywords = []string{"items", "additionalItems", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties"}
	listKeywords   = []string{"prefixItems", "items", "allOf", "anyOf", "oneOf"}
	mapKeywords    = []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)

// eachSchema visits s and the schemas in it that are objects. visit may change them. A schema
// that refers to itself does so by name ($ref), which is not followed, so this ends.
func eachSchema(s any, visit func(map[string]any)) {
	object, ok := s.(map[string]any)
	if !ok {
		return
	}
	visit(object)
	// One schema, a list of them, or a map of them: the three places where a keyword can have schemas.
	for _, keyword := range schemaKeywords {
		eachSchema(object[keyword], visit)
	}
	for _, keyword := range listKeywords {
		list, _ := object[keyword].([]any)
		for _, inner := range list {
			eachSchema(inner, visit)
		}
	}
	for _, keyword := range mapKeywords {
		inner, _ := object[keyword].(map[string]any)
		for _, s := range inner {
			eachSchema(s, visit)
		}
	}
}
