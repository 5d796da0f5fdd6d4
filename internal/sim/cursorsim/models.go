package cursorsim

import (
	"net/http"
	"slices"

	"composer-api/internal/cursor/pb"
)

// The models of the simulator, as GET /v1/models lists them, and which of them a run may ask for.

// The shape of GET /v1/models.
//
// The JSON names are Cursor's. Members that the gateway doesn't read are here, too, because the
// real list has them.
type (
	model struct {
		// The form is that of GET /v1/models of Cursor's public API.
		ID          string      `json:"id"`
		DisplayName string      `json:"displayName"`
		Description string      `json:"description,omitempty"`
		Aliases     []string    `json:"aliases,omitempty"`
		Parameters  []parameter `json:"parameters,omitempty"`
		Variants    []variant   `json:"variants,omitempty"`
	}
	parameter struct {
		ID          string `json:"id"`
		DisplayName string `json:"displayName,omitempty"`
		// Values are all that may be asked for.
		Values []parameterValue `json:"values"`
	}
	parameterValue struct {
		Value string `json:"value"`
	}
	variant struct {
		// Params are one value for each parameter of the model.
		Params      []param `json:"params"`
		DisplayName string  `json:"displayName"`
		IsDefault   bool    `json:"isDefault,omitempty"`
		IsMaxMode   bool    `json:"isMaxMode,omitempty"` // it needs max_mode in the run request; since SDK 1.1.0
	}
	param struct {
		ID    string `json:"id"`
		Value string `json:"value"`
	}
)

// catalogue is what the simulator offers: Composer as Cursor lists it, with the more expensive variant
// as default, and two models of its own, one with another parameter and one with none.
// It has one model for each case that a client must handle: with aliases, without them, with a
// parameter of another name, with a variant that needs max_mode, and with nothing at all.
var catalogue = []model{
	withFast(model{ID: "composer-2.5", DisplayName: "Composer 2.5", Description: "Cursor's coding model", Aliases: []string{"composer-latest"}}),
	withFast(model{ID: "composer-2", DisplayName: "Composer 2"}),
	{
		ID: "sim-thinker", DisplayName: "Simulated Thinker",
		Parameters: []parameter{{ID: "effort", Values: []parameterValue{{"low"}, {"medium"}, {"high"}}}},
		Variants: []variant{
			{Params: []param{{"effort", "medium"}}, DisplayName: "Simulated Thinker", IsDefault: true},
			{Params: []param{{"effort", "high"}}, DisplayName: "Simulated Thinker Max", IsMaxMode: true},
		},
	},
	{ID: "sim-plain", DisplayName: "Simulated Plain"},
}

// withFast gives a model the parameter fast, with its default as Cursor has it: true.
func withFast(m model) model {
	m.Parameters = []parameter{{ID: "fast", DisplayName: "Fast", Values: []parameterValue{{"false"}, {"true"}}}}
	m.Variants = []variant{
		{Params: []param{{"fast", "false"}}, DisplayName: m.DisplayName},
		{Params: []param{{"fast", "true"}}, DisplayName: m.DisplayName + " Fast", IsDefault: true},
	}
	return m
}

// models answers GET /v1/models. The list is the same for every key.
func (s *Sim) models(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.publicKey(w, r); ok {
		writeJSON(w, http.StatusOK, map[string]any{"items": catalogue})
	}
}

// needsMaxMode reports whether every variant that fits a requested model needs max_mode. That is how
// the SDK from 1.1.0 on decides whether to set it. A variant fits when it has all the parameters that
// were requested. What Cursor's servers do when max_mode is missing was not seen; the simulator refuses
// the run.
func needsMaxMode(m *pb.RequestedModel) bool {
	// False when no variant fits, too.
	needs := false
	for _, listed := range catalogue {
		if listed.ID != m.GetModelId() {
			continue
		}
		for _, v := range listed.Variants {
			if !v.fits(m.GetParameters()) {
				continue
			}
			if !v.IsMaxMode {
				return false
			}
			needs = true
		}
	}
	return needs
}

// fits reports whether the variant has all these parameters.
func (v variant) fits(params []*pb.RequestedModel_Param) bool {
	for _, p := range params {
		if !slices.Contains(v.Params, param{p.GetId(), p.GetValue()}) {
			return false
		}
	}
	return true
}

// known reports whether the catalogue has a model of that id. Aliases don't count: a client has to
// resolve them.
func known(id string) bool {
	for _, m := range catalogue {
		if m.ID == id {
			return true
		}
	}
	return false
}

// modelString is a model as records and scripts show it: "composer-2.5;fast=false".
func modelString(m *pb.RequestedModel) string {
	s := m.GetModelId()
	for _, p := range m.GetParameters() {
		s += ";" + p.GetId() + "=" + p.GetValue()
	}
	return s
}
