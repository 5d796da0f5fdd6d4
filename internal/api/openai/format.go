package openai

import (
	"encoding/json"

	"composer-api/internal/agent"
)

// A SchemaFormat is the description of a JSON schema in a request's format field.
type SchemaFormat struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Schema      Object `json:"schema"`
	Strict      bool   `json:"strict"`
}

// Format reads the format that the answer's text must have. typ is the format's type, at param+".type"; schema, which
// counts for json_schema only, is at schemaParam.
func Format(typ, param string, schema SchemaFormat, schemaParam string) (agent.Format, error) {
	switch typ {
	case "text":
		return agent.Format{}, nil
	case "json_object":
		return agent.Format{Kind: agent.JSONObject}, nil
	case "json_schema":
		if schema.Schema == nil {
			return agent.Format{}, Missing(schemaParam + ".schema")
		}
		return agent.Format{
			Kind: agent.JSONSchema, Name: schema.Name, Description: schema.Description,
			Schema: json.RawMessage(schema.Schema), Strict: schema.Strict,
		}, nil
	case "":
		return agent.Format{}, Missing(param + ".type")
	}
	return agent.Format{}, OneOf(param+".type", typ, "text", "json_object", "json_schema")
}
