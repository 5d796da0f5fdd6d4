package service

import (
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// countDocument is what POST /responses/input_tokens answers.
//
// Clients look at input_tokens alone.
type countDocument struct {
	Object string `json:"object"` // "response.input_tokens"
	// InputTokens is an estimate from the length of the texts.
	InputTokens int64 `json:"input_tokens"`
	Estimated   bool  `json:"estimated"` // ours: upstream counts only what it answers
}

// countTokens answers POST /responses/input_tokens. No upstream is asked, so the number is an
// estimate; the history that previous_response_id names counts, too.
//
// Nothing is stored. A request without a model is fine: an estimate goes by the length of the
// texts.
func (s *Service) countTokens(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	req, err := s.decodePartial(r, call)
	if err != nil {
		return err
	}
	turn, _, err := s.prepare(r.Context(), call, req, nil)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, openai.Encode(countDocument{
		Object: "response.input_tokens", InputTokens: agent.EstimatePrompt(turn), Estimated: true,
	}))
}
