package openai

import (
	"encoding/json"

	"composer-api/internal/agent"
	"composer-api/internal/schema"
)

// A SchemaFormat is the JSON schema in a request's format field.
//
// Strict asks for OpenAI's subset of JSON Schema; see package schema for what of it is checked.
type SchemaFormat struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Schema      Object `json:"schema"`
	Strict      bool   `json:"strict"`
}

// Format reads the format that the answer's text must have. typ is the format's type, at param+".type"; s, which
// counts for json_schema only, is at schemaParam. The schema is compiled, so that one that can't be used is refused at once, and not
// after the model has answered.
func Format(typ, param string, s SchemaFormat, schemaParam string) (agent.Format, error) {
	switch typ {
	case "text":
		return agent.Format{}, nil
	// Any JSON object: there is no schema to compile.
	case "json_object":
		return agent.Format{Kind: agent.JSONObject}, nil
	case "json_schema":
		if s.Schema == nil {
			return agent.Format{}, Missing(schemaParam + ".schema")
		}
		// What is passed on stays the client's own spelling: the model reads it.
		if err := CheckSchema(s.Schema, s.Strict, param); err != nil {
			return agent.Format{}, err
		}
		return agent.Format{
			Kind: agent.JSONSchema, Name: s.Name, Description: s.Description,
			Schema: json.RawMessage(s.Schema), Strict: s.Strict,
		}, nil
	case "":
		return agent.Format{}, Missing(param + ".type")
	}
	return agent.Format{}, OneOf(param+".type", typ, "text", "json_object", "json_schema")
}

// CheckSchema checks that the schema of an answer can be used. param names the format's field.
// The compiled schema is not kept: package control compiles it again for the turn.
func CheckSchema(raw Object, strict bool, param string) error {
	if _, err := schema.Compile(raw, strict); err != nil {
		return agent.ParamError(agent.InvalidValue, param, "The JSON Schema in '%s' can't be used: %v.", param, err)
	}
	return nil
}
