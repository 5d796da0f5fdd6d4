// Package models is the surface that lists models:
//
//	GET /models       OpenAI's list, and beside it the catalogue that Codex looks for
//	GET /models/{id}  one model; the id may hold "/" and ":"
//
// Clients of Anthropic's API get both in Anthropic's form.
package models

import (
	"context"
	"encoding/json"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/gateway/catalog"
)

// A Source knows what models a caller may use: a *catalog.Catalog. It may be called concurrently. Errors are
// *agent.Error; an unknown name has the code ModelNotFound.
type Source interface {
	// List returns the models of caller, in the order in which they are shown.
	List(ctx context.Context, caller agent.Caller) ([]catalog.Model, error)
	// Find returns the model that caller means by name.
	Find(ctx context.Context, caller agent.Caller, name string) (catalog.Model, error)
}

// Routes are the routes of the list of models, below the API's bases.
func Routes(source Source) []api.Route {
	h := &handlers{source}
	return []api.Route{
		{Pattern: "GET /models", Handle: h.list},
		{Pattern: "GET /models/{id...}", Handle: h.get},
	}
}

type handlers struct{ source Source }

func (h *handlers) list(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	models, err := h.source.List(r.Context(), call.Caller)
	if err != nil {
		return err
	}
	if call.ReferenceNames {
		if m, err := h.source.Find(r.Context(), call.Caller, sdkModelID); err == nil {
			m.ID, m.DisplayName = sdkModelID, sdkModelName
			models = append([]catalog.Model{m}, models...)
		}
	}
	if speaksAnthropic(r) {
		w.Header().Set("Request-Id", call.Origin.RequestID)
		return writeJSON(w, anthropicList(models))
	}
	list := modelList{Object: "list", Data: []model{}, Models: []codexModel{}}
	for _, m := range models {
		list.Data = append(list.Data, openAIModel(m))
		list.Models = append(list.Models, codexEntry(m))
	}
	return writeJSON(w, list)
}

func (h *handlers) get(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	m, err := h.source.Find(r.Context(), call.Caller, r.PathValue("id"))
	if err != nil {
		return err
	}
	if speaksAnthropic(r) {
		w.Header().Set("Request-Id", call.Origin.RequestID)
		return writeJSON(w, newAnthropicModel(m))
	}
	return writeJSON(w, openAIModel(m))
}

// writeJSON sends v, which encoding/json can always encode.
func writeJSON(w http.ResponseWriter, v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, doc)
}
