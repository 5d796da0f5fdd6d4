package models

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/gateway/catalog"
)

// The list in the form of Anthropic's API. Source: its reference of GET /v1/models.

// An anthropicPage is the list of models in Anthropic's form, or the page of it that the client asks for.
type anthropicPage struct {
	Data []anthropicModel `json:"data"`
	// HasMore says that there is another page, in the direction in which the client goes through them.
	HasMore bool `json:"has_more"`
	// FirstID and LastID are null for an empty list.
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
}

// An anthropicModel is a model in Anthropic's form.
type anthropicModel struct {
	Type           string    `json:"type"`
	ID             string    `json:"id"`
	DisplayName    string    `json:"display_name"`
	CreatedAt      time.Time `json:"created_at"`
	Lifecycle      string    `json:"lifecycle"` // "active": what is listed can be used
	MaxInputTokens int       `json:"max_input_tokens,omitempty"`
}

// speaksAnthropic reports whether a client of Anthropic's API asks: it shares these paths with OpenAI's.
func speaksAnthropic(r *http.Request) bool { return r.Header.Get(api.AnthropicVersion) != "" }

// newAnthropicModel is a model in this form.
func newAnthropicModel(m catalog.Model) anthropicModel {
	return anthropicModel{Type: "model", ID: m.ID, DisplayName: m.DisplayName, CreatedAt: m.Created.UTC(), Lifecycle: "active", MaxInputTokens: m.ContextWindow}
}

// anthropicList is the whole list, because the catalogue is short, unless the query asks for a page of it: limit=2, and
// after_id or before_id, the last or the first model of the page that the client has. Errors are *agent.Error with the
// parameter's name.
func anthropicList(models []catalog.Model, query url.Values) (anthropicPage, error) {
	page := anthropicPage{Data: []anthropicModel{}}
	before := query.Get("before_id") != ""
	for _, param := range []string{"after_id", "before_id"} {
		id := query.Get(param)
		if id == "" {
			continue
		}
		at := slices.IndexFunc(models, func(m catalog.Model) bool { return m.ID == id })
		switch {
		case at < 0:
			return page, agent.ParamError(agent.InvalidValue, param, "There is no model with id '%s' in this list.", openai.Clip(id))
		case before:
			models = models[:at]
		default:
			models = models[at+1:]
		}
	}
	limit, err := modelLimit(query.Get("limit"))
	if err != nil {
		return page, err
	}
	if page.HasMore = limit > 0 && len(models) > limit; page.HasMore && before {
		models = models[len(models)-limit:] // the page that ends where the client's begins
	} else if page.HasMore {
		models = models[:limit]
	}
	for _, m := range models {
		page.Data = append(page.Data, newAnthropicModel(m))
	}
	if n := len(page.Data); n > 0 {
		page.FirstID, page.LastID = &page.Data[0].ID, &page.Data[n-1].ID
	}
	return page, nil
}

// modelLimit is how many models a page may have; 0 is all of them. The bounds are Anthropic's.
func modelLimit(text string) (int, error) {
	const most = 1000
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, agent.ParamError(agent.InvalidValue, "limit", "Invalid value for 'limit': '%s'. It must be a whole number from 1 to %d.", openai.Clip(text), most)
	}
	return n, nil
}
