package httpd

import (
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/openai"
)

// chatCompletions answers POST …/chat/completions.
func (s *Server) chatCompletions(w http.ResponseWriter, r *http.Request, call *Call) error {
	body, err := openai.ReadBody(r)
	if err != nil {
		return err
	}
	req, err := chat.Decode(body)
	if err != nil {
		return err
	}
	call.Fill(&req.Request)
	encoder := chat.NewEncoder(w, req, chat.Options{})
	defer encoder.Close()
	err = s.cfg.Turns.Turn(r.Context(), &req.Request, encoder)
	if err != nil && encoder.Fail(agent.AsError(err)) {
		return &openai.Told{Err: err}
	}
	return err
}
