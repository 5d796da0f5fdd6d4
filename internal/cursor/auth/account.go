package auth

import (
	"context"
	"net/http"
	"slices"

	"composer-api/internal/agent"
)

// An Account is who a key belongs to. The user's fields are empty for a team's key.
type Account struct {
	// Source: the answer of GET /v1/me, as SDK 1.1.0 decodes it.
	APIKeyName    string `json:"apiKeyName"`
	CreatedAt     string `json:"createdAt"` // RFC 3339
	UserID        ID     `json:"userId"`
	UserEmail     string `json:"userEmail"`
	UserFirstName string `json:"userFirstName"`
	UserLastName  string `json:"userLastName"`
}

// An ID is an identifier that comes as a JSON string or number. Cursor sends numbers; both are accepted.
type ID string

// UnmarshalJSON implements json.Unmarshaler. Escapes in a string are kept as they are; ids have none.
func (id *ID) UnmarshalJSON(b []byte) error {
	if len(b) > 1 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	if string(b) != "null" {
		*id = ID(b)
	}
	return nil
}

// A Model is one entry of the live catalogue of a key.
type Model struct {
	// ID is what a run request names. Aliases are other names for it.
	ID          string      `json:"id"`
	DisplayName string      `json:"displayName"`
	Description string      `json:"description"`
	Aliases     []string    `json:"aliases"`
	Parameters  []Parameter `json:"parameters"`
	Variants    []Variant   `json:"variants"`
}

// A Parameter is a setting of a Model, such as "fast" with the values "false" and "true".
type Parameter struct {
	ID     string  `json:"id"`
	Values []Value `json:"values"`
}

// A Value is one of a Parameter's values.
type Value struct {
	Value string `json:"value"`
}

// A Variant is a named choice of parameters, as Cursor's own model menu shows it.
type Variant struct {
	// Params are one value for each parameter of the model.
	Params      []agent.Param `json:"params"`
	DisplayName string        `json:"displayName"`
	IsDefault   bool          `json:"isDefault"`
	// IsMaxMode says that a run with these parameters must ask for max mode. Source: SDK 1.1.0.
	IsMaxMode bool `json:"isMaxMode"`
}

// Me asks who the key belongs to. Nothing is cached. Errors are *agent.Error.
func (c *Client) Me(ctx context.Context, key agent.Secret) (*Account, error) {
	var a Account
	if err := c.call(ctx, http.MethodGet, c.public(), "/v1/me", key, "", &a); err != nil {
		return nil, err
	}
	return &a, nil
}

// Models lists the models that the key may use, in upstream's order. Nothing is cached. Errors
// are *agent.Error. gateway/catalog caches what it returns.
//
// A list of no models is an error: no key is without any, and clients would have nothing to choose from.
func (c *Client) Models(ctx context.Context, key agent.Secret) ([]Model, error) {
	var list struct {
		Items []Model `json:"items"`
	}
	if err := c.call(ctx, http.MethodGet, c.public(), "/v1/models", key, "", &list); err != nil {
		return nil, err
	}
	models := slices.DeleteFunc(list.Items, func(m Model) bool { return m.ID == "" })
	if len(models) == 0 {
		return nil, agent.Errorf(agent.Upstream, "Cursor's answer names no model.")
	}
	return models, nil
}
