package messages_test

import (
	"encoding/hex"
	"net/http"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/apitest"
	"composer-api/internal/api/known"
	"composer-api/internal/api/messages"
)

func TestGolden(t *testing.T) {
	apitest.Run(t, apitest.Surface{
		Name:          "messages",
		StreamMembers: `"stream":true`,
		Always:        "at most 32000 tokens\n", // max_tokens is required
		Serve:         serve,
	})
}

// serve answers as the real handler does when the client has sent every message before. Signatures are the digest itself, so
// that they don't vary.
func serve(w http.ResponseWriter, body []byte, turn func(*agent.Request, agent.Sink) error) {
	w.Header().Set("X-Request-Id", "req_test")
	sent := known.New(known.Config{Least: 1}).Of("owner")
	messages.Decode(body, sent)
	req, err := messages.Decode(body, sent)
	if err != nil {
		messages.WriteError(w, err)
		return
	}
	e := messages.NewEncoder(w, req, messages.Options{ID: "msg_test", RequestID: "req_test", Sign: hex.EncodeToString})
	defer e.Close()
	if err := turn(&req.Request, e); err != nil && !e.Fail(agent.AsError(err)) {
		messages.WriteError(w, err)
	}
}
