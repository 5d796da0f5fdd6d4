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

// Upstreams knows what the models would be asked by: a *gateway.Gateway. It may be called concurrently. upstream is
// api.Call's. Errors are *agent.Error.
type Upstreams interface {
	// Configured reports whether there is such an upstream at all.
	Configured(upstream string) error
	// Reachable finds out whether it can be reached.
	Reachable(ctx context.Context, upstream string) error
}

// Routes are the routes of the list of models, below the API's bases.
func Routes(source Source, upstreams Upstreams) []api.Route {
	h := &handlers{source, upstreams}
	return []api.Route{
		{Pattern: "GET /models", Handle: h.list},
		{Pattern: "GET /models/{id...}", Handle: h.get},
	}
}

// handlers has no state of its own.
type handlers struct {
	// source lists models; upstreams says which may be asked for.
	source    Source
	upstreams Upstreams
}

// list answers GET /models. On paths with ReferenceNames, the reference system's name comes first.
func (h *handlers) list(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	models, live, err := h.models(r.Context(), call)
	if err != nil {
		return err
	}
	if call.ReferenceNames {
		if m, err := h.source.Find(r.Context(), call.Caller, sdkModelID); err == nil {
			m.ID, m.DisplayName = sdkModelID, sdkModelName
			models = append([]catalog.Model{m}, models...)
		}
	}
	list := modelList{Object: "list", Data: []model{}, Models: []codexModel{}}
	if !live {
		list.Catalogue = "builtin"
		w.Header().Set("Warning", `199 composer-api "Cursor's catalogue can't be reached: these are Composer's own models, not those of your key"`)
	}
	if speaksAnthropic(r) {
		page, err := anthropicList(models, r.URL.Query())
		if err != nil {
			return err
		}
		w.Header().Set("Request-Id", call.Origin.RequestID)
		return writeJSON(w, page)
	}
	for _, m := range models {
		list.Data = append(list.Data, openAIModel(m))
		list.Models = append(list.Models, codexEntry(m))
	}
	return writeJSON(w, list)
}

// models lists what the caller can use. No model is listed that nobody could answer for: not without an upstream, and
// not while neither the catalogue nor upstream can be reached. When only the catalogue is away, live is false and the
// models are Composer's own.
//
//	the catalogue                        upstream          the answer
//	answers                              not asked         what the key may use
//	refuses the key, or the client left  not asked         its error
//	can't be reached                     can be            Composer's own models, with a warning
//	can't be reached                     can't be          upstream's error
func (h *handlers) models(ctx context.Context, call *api.Call) (models []catalog.Model, live bool, err error) {
	if err := h.upstreams.Configured(call.Upstream); err != nil {
		return nil, false, err
	}
	models, err = h.source.List(ctx, call.Caller)
	switch agent.CodeOf(err) {
	case 0:
		return models, true, nil
	case agent.InvalidKey, agent.PermissionDenied, agent.Canceled:
		return nil, false, err
	}
	if err := h.upstreams.Reachable(ctx, call.Upstream); err != nil {
		return nil, false, err
	}
	return catalog.Builtin(), false, nil
}

// get answers GET /models/{id}.
func (h *handlers) get(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	if err := h.upstreams.Configured(call.Upstream); err != nil {
		return err
	}
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

// writeJSON answers with v, which encoding/json can always encode.
func writeJSON(w http.ResponseWriter, v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, doc)
}
