package models

import (
	"net/http"
	"time"

	"composer-api/internal/api"
	"composer-api/internal/gateway/catalog"
)

// The list in the form of Anthropic's API. Source: its reference of GET /v1/models.

// An anthropicPage is the list of models in Anthropic's form. All models are on the one page.
type anthropicPage struct {
	Data    []anthropicModel `json:"data"`
	HasMore bool             `json:"has_more"`
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

// anthropicList is the whole list. There are no further pages, because the catalogue is short.
func anthropicList(models []catalog.Model) anthropicPage {
	page := anthropicPage{Data: []anthropicModel{}}
	for _, m := range models {
		page.Data = append(page.Data, newAnthropicModel(m))
	}
	if n := len(page.Data); n > 0 {
		page.FirstID, page.LastID = &page.Data[0].ID, &page.Data[n-1].ID
	}
	return page
}
