package chat_test

import (
	"net/http"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/apitest"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
)

func TestGolden(t *testing.T) {
	apitest.Run(t, apitest.Surface{
		Name:          "chat",
		Document:      "CreateChatCompletionResponse",
		Event:         "CreateChatCompletionStreamResponse",
		StreamMembers: `"stream":true,"stream_options":{"include_usage":true}`,
		Serve:         serve,
	})
}

// serve answers as the real handler does when the client has sent every message before.
func serve(w http.ResponseWriter, body []byte, turn func(*agent.Request, agent.Sink) error) {
	sent := known.New(known.Config{Least: 1}).Of("owner")
	chat.Decode(body, sent)
	req, err := chat.Decode(body, sent)
	if err != nil {
		openai.WriteError(w, err)
		return
	}
	e := chat.NewEncoder(w, req, chat.Options{ID: "chatcmpl-test", Created: apitest.Created})
	defer e.Close()
	if err := turn(&req.Request, e); err != nil && !e.Fail(agent.AsError(err)) {
		openai.WriteError(w, err)
	}
}
