package published

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// From the published document to schemas that refuse what it doesn't know. The steps, in the
// order in which they have to be done:
//
//	extend          our extensions become a part of the document
//	branches        which schema of a choice belongs to which type
//	nameRecursion   recursive references become ordinary ones
//	part            nested schemas are tightened, in place
//	whole           for each schema, one for a whole document is added beside it

// An object of JSON is what jsonschema.UnmarshalJSON makes of one. Schemas are handled in this form because they are
// changed before anything knows their meaning.
type object = map[string]any

// tighten changes the OpenAPI document so that a member that it doesn't know is an error.
//
// A schema refuses unknown members where it describes a whole value: a member, an element, a document. Where it is only
// a part of the description (a branch of allOf or anyOf), it can't know what the other parts allow. So the refusal is
// put at these places and not into the schemas that they refer to. branches is what [spec.branches] says.
//
// JSON Schema's word for it is unevaluatedProperties: false, which unlike additionalProperties sees
// through allOf and $ref.
func tighten(doc any) (branches map[string]map[string]string, err error) {
	schemas, err := schemasOf(doc)
	if err != nil {
		return nil, err
	}
	// Everything is done in place: the document is read from its file for this.
	t := tightener{schemas}
	// In order, so that an error is always about the same extension.
	for _, path := range slices.Sorted(maps.Keys(extensions)) {
		if err := t.extend(path, extensions[path]); err != nil {
			return nil, err
		}
	}
	branches = t.branches()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		nameRecursion(schemas[name], name)
		t.part(schemas[name])
	}
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		// A schema of its own beside the part, because others refer to the part and may add members
		// to it.
		whole := object{"$ref": refPrefix + name}
		t.whole(whole)
		schemas[strictly(name)] = whole
	}
	return branches, nil
}

// refPrefix begins every reference to a schema.
const refPrefix = "#/components/schemas/"

// strictly is the name of the schema of whole documents of a kind.
func strictly(name string) string { return name + ".document" }

// schemasOf finds the part of the document that names schemas: components.schemas.
func schemasOf(doc any) (object, error) {
	for _, name := range []string{"components", "schemas"} {
		o, ok := doc.(object)
		if !ok {
			return nil, fmt.Errorf("it has no %s", name)
		}
		doc = o[name]
	}
	schemas, ok := doc.(object)
	if !ok {
		return nil, fmt.Errorf("it has no schemas")
	}
	return schemas, nil
}

// nameRecursion writes what JSON Schema 2019-09 calls a recursive reference as a reference to the schema by its name.
func nameRecursion(v any, name string) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			nameRecursion(element, name)
		}
	case object:
		delete(v, "$recursiveAnchor")
		if _, ok := v["$recursiveRef"]; ok {
			delete(v, "$recursiveRef")
			v["$ref"] = refPrefix + name
		}
		for _, member := range v {
			nameRecursion(member, name)
		}
	}
}

// tightener has the schemas of the document, which its methods change in place.
type tightener struct{ schemas object }

// extend lets the schema or the member at path also be what extension says. path is "Schema" or
// "Schema.member". An extension that the document has come to know itself is an error, so that
// the list of extensions doesn't grow old.
func (t tightener) extend(path string, extension object) error {
	name, member, isMember := strings.Cut(path, ".")
	place := t.schemas
	if isMember {
		schema, _ := t.schemas[name].(object)
		// A type assertion that fails gives nil, and so "no place".
		place, name = t.properties(schema, member), member
	}
	if place == nil {
		return fmt.Errorf("it has no place for %s, which is an extension of ours", path)
	}
	// An empty extension says that anything is allowed there.
	known := place[name]
	switch {
	case known == nil:
		place[name] = maps.Clone(extension)
	case len(extension) == 0:
		return fmt.Errorf("it has %s itself, so that is no extension of ours", path)
	default:
		place[name] = object{"anyOf": []any{known, maps.Clone(extension)}}
	}
	return nil
}

// properties are the members of a schema, or of the part of it that has the member name, or of its last part.
//
// For a schema of allOf, members lie in its parts. If none has the member, the last part is where
// an extension is put.
func (t tightener) properties(schema object, name string) (found object) {
	if ref, ok := schema["$ref"].(string); ok {
		schema, _ = t.schemas[strings.TrimPrefix(ref, refPrefix)].(object)
	}
	found, _ = schema["properties"].(object)
	parts, _ := schema["allOf"].([]any)
	for _, part := range parts {
		p, _ := part.(object)
		if properties := t.properties(p, name); properties != nil {
			// A part that has the member. Without a break the last part is left in found.
			if found = properties; found[name] != nil {
				break
			}
		}
	}
	return found
}

// branches are the schemas that are a choice of others by their type, with the schema for each
// type. A type that two choices have gets "", and all of the choice is tried then.
func (t tightener) branches() map[string]map[string]string {
	all := map[string]map[string]string{}
	for name, schema := range t.schemas {
		s, _ := schema.(object)
		for _, key := range []string{"anyOf", "oneOf"} {
			choices, _ := s[key].([]any)
			for _, choice := range choices {
				c, _ := choice.(object)
				ref, _ := c["$ref"].(string)
				target := strings.TrimPrefix(ref, refPrefix)
				branch, _ := t.schemas[target].(object)
				kind, _ := t.properties(branch, "type")["type"].(object)
				values, _ := kind["enum"].([]any)
				for _, value := range values {
					if all[name] == nil {
						all[name] = map[string]string{}
					}
					text, _ := value.(string)
					if _, twice := all[name][text]; twice {
						target = "" // the type doesn't tell
					}
					all[name][text] = target
				}
			}
		}
	}
	return all
}

// part tightens what lies below a schema that may describe a value only in part. An argument
// that is no object, such as a missing member or true, is left alone.
func (t tightener) part(schema any) {
	s, ok := schema.(object)
	if !ok {
		return
	}
	if s["nullable"] == true { // OpenAPI 3.0 for what 3.1 writes as a type
		delete(s, "nullable")
		// The schema itself becomes the choice, because others hold it.
		rest := maps.Clone(s)
		clear(s)
		s["anyOf"] = []any{rest, object{"type": "null"}}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		branches, _ := s[key].([]any)
		for _, branch := range branches {
			t.part(branch)
		}
	}
	properties, _ := s["properties"].(object)
	for _, property := range properties {
		t.whole(property)
	}
	// Neither need be there; part takes nil.
	t.whole(s["items"])
	t.whole(s["additionalProperties"])
}

// whole tightens a schema that describes a whole value.
func (t tightener) whole(schema any) {
	t.part(schema)
	if s, ok := schema.(object); ok && !t.open(s, 0) {
		s["unevaluatedProperties"] = false
	}
}

// maxDepth ends the look into schemas that refer to themselves.
const maxDepth = 20

// open reports whether a schema says of an object nothing but that it is one. Such a value may
// have any member.
//
// In the published document such schemas stand for values with free members: metadata, and the
// schema of a tool.
func (t tightener) open(s object, depth int) bool {
	if depth > maxDepth {
		return false
	}
	if ref, ok := s["$ref"].(string); ok {
		target, _ := t.schemas[strings.TrimPrefix(ref, refPrefix)].(object)
		return t.open(target, depth+1)
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		branches, _ := s[key].([]any)
		for _, branch := range branches {
			if b, ok := branch.(object); ok && t.open(b, depth+1) {
				return true
			}
		}
	}
	for _, key := range []string{"properties", "allOf", "anyOf", "oneOf"} {
		if s[key] != nil {
			return false
		}
	}
	// A text or a number has no members to be refused.
	return s["type"] == nil || s["type"] == "object"
}
